"""A second client takes an upload over in the middle of a PATCH: how long until what it sends is in?

    python -m bench.takeover                into MinIO
    python -m bench.takeover --into disk    the local store

One client sends a PATCH and falls silent, or sends at full speed. A second one asks HEAD where to go on, and sends a
PATCH of 64 KiB from there; where the first was faster than the question, it is refused with the offset and sends again.
The crash machine does the same beside everything else that it does to a server (tests/crash/rivals.py), and checks the
bytes; here it is nothing but timed. DESIGN §11: the whole of it p50 at most 50 ms, max at most 1 s.
"""

import argparse
import contextlib
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench.bucket import Depot
from bench.errors import CannotMeasure
from bench.native import cache_folder
from bench.processes import running
from bench.scenarios import GIB, KIB, MIB
from bench.servers import Server, chosen
from bench.slow import Verdict
from tests.crash.figures import Figures
from tests.support.raw_http import RawClient, RawResponse, head
from tests.support.uploading import TUS, append_head, create_head

LENGTH: Final = GIB  # bytes of an upload: more than anybody sends
SHARE: Final = 64 * KIB  # bytes that the second client brings
MOST: Final = 20 * MIB  # bytes after which the first client is silent at the latest: some parts, and one that fills
BEFORE: Final = (0.3, 0.8)  # seconds for which the first client is silent, or at full speed
KINDS: Final = ("silent", "full speed")
TIMES: Final = ("HEAD", "refused PATCH", "PATCH", "whole")
P50: Final = 0.05  # seconds, of the whole
LONGEST: Final = 1.0  # seconds, of the whole


def measure(server: Server, count: int, *, into_minio: bool, place: Path) -> Figures:
    """Start the server in a folder, which exists, and take `count` uploads over from each kind of sender.

    Raises CannotMeasure, also when an offset is not the right one afterwards.
    """
    figures, chance = Figures(), random.Random(1)
    for name in ("minio", "data"):
        (place / name).mkdir()
    with ExitStack() as stack:
        depot = stack.enter_context(Depot(place / "minio")) if into_minio else None
        bucket = stack.enter_context(depot.bucket(keep=True)) if depot else None
        target = stack.enter_context(running(server, place / "data", bucket))
        for number in range(2 * count):
            _Rivals(target.port, figures, chance).take_over(KINDS[number % 2])
    return figures


class _Rivals:
    """One upload, and two clients that send it."""

    def __init__(self, port: int, figures: Figures, chance: random.Random) -> None:
        self._port, self._figures, self._chance = port, figures, chance
        self._path = self._ask(create_head("tus", length=LENGTH), 201).headers["location"]

    def take_over(self, kind: str) -> None:
        """Let one begin and the other take over; the upload is gone afterwards."""
        with self._older(silent=kind == KINDS[0]):
            time.sleep(self._chance.uniform(*BEFORE))
            offset = self._timed(kind)
        if (found := self._offset()) != offset:
            raise CannotMeasure(f"after a take-over the upload is at {found:,}, not at {offset:,}")
        self._ask(head("DELETE", self._path, TUS), 204)

    def _timed(self, kind: str) -> int:
        """The second client's part; the offset that it got to."""
        began = time.monotonic()
        offset = self._offset()
        self._figures.measure(f"{kind}, HEAD", time.monotonic() - began)
        while True:
            sent = time.monotonic()
            answer = self._append(offset)
            if answer.status == 204:
                break
            if answer.status != 409:
                raise CannotMeasure(f"a take-over was answered {answer.status}: {answer.body[:200]!r}")
            offset = int(answer.headers["upload-offset"])
            self._figures.measure(f"{kind}, refused PATCH", time.monotonic() - sent)
        over = time.monotonic()
        self._figures.measure(f"{kind}, PATCH", over - sent)
        self._figures.measure(f"{kind}, whole", over - began)
        return offset + SHARE

    @contextmanager
    def _older(self, *, silent: bool) -> Iterator[None]:
        """The first client, under way; it is gone afterwards."""
        size = self._chance.randint(1, MOST) if silent else LENGTH
        with RawClient(self._port) as client:
            client.send(append_head("tus", self._path, 0, size=LENGTH))
            sending = threading.Thread(target=_flood, args=(client, size))
            sending.start()
            try:
                yield
            finally:
                client.reset()
                sending.join()

    def _append(self, offset: int) -> RawResponse:
        with RawClient(self._port) as client:
            client.send(append_head("tus", self._path, offset, size=SHARE), bytes(SHARE))
            return client.responses()[-1]

    def _offset(self) -> int:
        with RawClient(self._port) as client:
            client.send(head("HEAD", self._path, TUS))
            answer = client.response(to_head=True)
        if answer.status not in (200, 204):
            raise CannotMeasure(f"a HEAD was answered {answer.status}")
        return int(answer.headers["upload-offset"])

    def _ask(self, request: bytes, status: int) -> RawResponse:
        with RawClient(self._port) as client:
            client.send(request)
            answer = client.responses()[-1]
        if answer.status != status:
            raise CannotMeasure(f"expected {status}, got {answer.status}: {answer.body[:200]!r}")
        return answer


def _flood(client: RawClient, size: int) -> None:
    with contextlib.suppress(OSError):  # it was overtaken
        client.flood(size)


def judge(figures: Figures) -> list[Verdict]:
    """Every figure as a line; the whole take-over says whether the promise was kept."""
    return [_line(kind, what, figures.samples.get(f"{kind}, {what}", [])) for kind in KINDS for what in TIMES]


def _line(kind: str, what: str, values: Sequence[float]) -> Verdict:
    if not values:
        return Verdict(f"{kind}: {what}", "none")
    middle, most = statistics.median(values), max(values)
    text = f"p50 {middle * 1e3:.1f}, max {most * 1e3:.1f} ms ({len(values)})"
    return Verdict(f"{kind}: {what}", text, middle <= P50 and most <= LONGEST if what == "whole" else None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge; exit code 1 when the promise was broken, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.takeover", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=20, help="take-overs from each kind of sender (default: 20)")
    parser.add_argument("--into", choices=("minio", "disk"), default="minio", help="where it stores (default: minio)")
    parser.add_argument("--dir", type=Path, default=None, help="on the disk to measure (default: the cache folder)")
    args = parser.parse_args(arguments)
    try:
        (server,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
        with tempfile.TemporaryDirectory(dir=args.dir or cache_folder()) as folder:
            figures = measure(server, args.count, into_minio=args.into == "minio", place=Path(folder))
    except CannotMeasure as reason:
        print(f"bench.takeover: {reason}", file=sys.stderr)
        return 2
    verdicts = judge(figures)
    print(f"{server.title}, into {args.into}: a second client takes over")
    print("\n".join(map(str, verdicts)))
    return 1 if any(verdict.held is False for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
