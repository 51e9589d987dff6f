"""What a server costs that has nothing to do: processor time over half a minute, its children's added.

Three times: fresh, after an archive of frames was uploaded and everything was made of it, and after the process that
made it has ended.
"""

import time
from pathlib import Path
from typing import Final

from bench.background import await_alone, derived, slug_of
from bench.bucket import Depot
from bench.fresh_server import fresh_server
from bench.processes import Running, family
from bench.servers import Server
from bench.slow import Verdict
from ferryman_server.benching.archives import Archive
from ferryman_server.benching.sending import Sender
from tests.support.archive import frames_archive

SECONDS: Final = 30.0
MOST: Final = 0.01  # of a core
SETTLED: Final = 3.0  # seconds: what follows a start or an upload is over


def idle(
    server: Server, place: Path, depot: Depot | None = None, seconds: float = SECONDS, *, patient: bool = True
) -> list[Verdict]:
    """Look at a server three times for so long; not `patient`: do not wait for the third. Raises CannotMeasure."""
    with fresh_server(server, place, depot) as fresh:
        lines = [_looked("fresh", fresh.process, seconds)]
        sender = Sender(fresh.address)
        whole = frames_archive().read_bytes()
        path = sender.create(len(whole), "film.zip")
        sender.put(path, Archive([whole], len(whole)))
        made = derived(fresh.address, slug_of(fresh.address, path))
        lines.append(_looked("after an archive", fresh.process, seconds))
        if not patient:
            return lines
        if not made:
            return [*lines, Verdict("idle: the jobs process over", "not measured: this server makes nothing")]
        await_alone(fresh.process.pid)
        return [*lines, _looked("the jobs process over", fresh.process, seconds)]


def _looked(when: str, process: Running, seconds: float) -> Verdict:
    time.sleep(SETTLED)
    before, began = process.cpu_seconds(), time.perf_counter()
    time.sleep(seconds)
    share = (process.cpu_seconds() - before) / (time.perf_counter() - began)
    count = len(family(process.pid))
    processes = f"{count} process{'es' if count > 1 else ''}"
    return Verdict(f"idle: {when}", f"{share * 100:.2f} % of a core, {processes}", share <= MOST)
