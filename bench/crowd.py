"""A hundred uploads into MinIO at once, most of them slow: what memory does the server take, and is all of it right?

    python -m bench.crowd                                  80 at 64 KiB/s, 20 of 64 MiB as fast as they can
    python -m bench.crowd --rate 16 --slow-kib 1024

Slow clients fill parts for a long time, and fast ones want memory for theirs. The slow ones are under way alone for
half of their time; then the fast ones come. Slow uploads are read back and compared, what the fast ones left in the
bucket too, and every HEAD in between has to tell an offset that can be true. A server is judged by DESIGN §11: at most
200 MB of memory.
"""

import argparse
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.bodies import body_for
from bench.bucket import Bucket, Depot
from bench.check import check_objects
from bench.errors import CannotMeasure
from bench.load import loaded
from bench.native import cache_folder, program
from bench.processes import running
from bench.scenarios import KIB, MIB, Scenario
from bench.servers import Server, chosen
from bench.slow import Load, Verdict, drive, times

MEMORY: Final = 200.0  # MB (1e6 bytes) that the server's process may have resident at a time
ALL_BY: Final = 60.0  # seconds until every slow upload is under way
PATH: Final = "/files/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Who comes. Sizes are bytes, the rate is bytes a second of each slow upload."""

    slow: int = 80
    slow_size: int = 3 * MIB
    rate: int = 64 * KIB
    fast: int = 20
    fast_size: int = 64 * MIB
    heads: float = 10  # a second, of slow uploads

    @property
    def slow_load(self) -> Load:
        """The slow ones, as their client takes them; all of them are read back."""
        return Load(
            uploads=self.slow, size=self.slow_size, rate=self.rate, heads=self.heads, ietf=False, read_back=self.slow
        )

    @property
    def fast_load(self) -> Scenario:
        """The fast ones."""
        return Scenario(
            name="crowd",
            title="",
            unit="MB/s",
            count=self.fast,
            size=self.fast_size,
            connections=self.fast,
            into="minio",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen."""

    crowd: Crowd
    slow: dict[str, Any]  # see the end of slow.c
    fast: dict[str, Any]  # see the end of load.c
    together: bool  # the slow ones were still under way when the last fast one ended
    idle_mb: float
    alone_mb: float  # the peak when the fast ones came
    peak_mb: float
    cpu_seconds: float


def measure(server: Server, crowd: Crowd, place: Path, *, tell: Callable[[str], None] = lambda line: None) -> Outcome:
    """Start a MinIO and the server in a folder, which exists, and let the crowd in. Raises CannotMeasure."""
    for name in ("minio", "data"):
        (place / name).mkdir()
    with Depot(place / "minio") as depot, depot.bucket(keep=True) as bucket:
        outcome = _crowded(server, crowd, place / "data", bucket, tell)
        load = crowd.fast_load
        check_objects(bucket, count=load.count, size=load.size, content=body_for(load).content)
    return outcome


def _crowded(server: Server, crowd: Crowd, data: Path, bucket: Bucket, tell: Callable[[str], None]) -> Outcome:
    load = crowd.fast_load
    arguments: list[str | int] = ["--count", load.count, "--size", load.size, "--connections", load.connections]
    with running(server, data, bucket) as target:
        idle, cpu = target.peak_megabytes(), target.cpu_seconds()
        with _trickling(target.port, crowd, tell) as slow_ones:
            alone = target.peak_megabytes()
            with loaded(target.port, PATH, *arguments, "--body", str(body_for(load).file)) as fast:
                together = not slow_ones.done()
            slow_told = slow_ones.result()
        return Outcome(
            crowd=crowd,
            slow=slow_told,
            fast=fast,
            together=together,
            idle_mb=idle,
            alone_mb=alone,
            peak_mb=target.peak_megabytes(),
            cpu_seconds=target.cpu_seconds() - cpu,
        )


@contextmanager
def _trickling(port: int, crowd: Crowd, tell: Callable[[str], None]) -> Iterator[Future[dict[str, Any]]]:
    """The slow uploads, when half of their time is over."""
    program("slow")  # compiled before the clock runs
    half = threading.Event()
    needed = crowd.slow_size / crowd.rate / 2

    def listen(line: str) -> None:
        tell(line)
        at = re.match(r" *([\d.]+) s: ", line)
        if at is not None and float(at[1]) >= needed:
            half.set()

    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(drive, port, crowd.slow_load, tell=listen)
        if not half.wait(needed + ALL_BY):
            raise CannotMeasure(f"the slow uploads were not half through after {needed + ALL_BY:.0f} s")
        yield under_way


def judge(outcome: Outcome) -> list[Verdict]:
    """Every figure as a line; those that were promised say whether the promise was kept."""
    client, crowd = outcome.slow, outcome.crowd
    told = {f"answered {status}": count for status, count in client["statuses"].items() if not status.startswith("2")}
    cuts = ", ".join(f"{count} {what}" for what, count in (client["cuts"] | told).items()) or "none"
    rate = crowd.fast * crowd.fast_size / 1e6 / outcome.fast["seconds"]
    before = f"{outcome.idle_mb:.0f} MB idle, {outcome.alone_mb:.0f} MB before the fast ones"
    lines = [
        Verdict(
            "memory",
            f"{outcome.peak_mb:.0f} MB at most ({before})",
            outcome.peak_mb <= MEMORY,
        ),
        Verdict("all at once", "yes" if outcome.together else "no: the slow ones had ended", outcome.together),
        Verdict(
            "slow uploads finished",
            f"{client['done']} of {crowd.slow}, {client['wrong']} of {client['read_back']} read back are wrong",
            client["done"] == client["read_back"] == crowd.slow and not client["wrong"],
        ),
        Verdict(
            "wrong HEADs",
            f"{client['heads_wrong']}, and {client['heads_failed']} without an answer",
            not client["heads_wrong"] and not client["heads_failed"],
        ),
        Verdict("HEAD", times(client["tus_heads_s"])),
        Verdict("last byte to answer", times(client["ending_s"])),
        Verdict("broken off", f"{cuts}; {client['sent_again']:,} bytes sent again"),
        Verdict("fast uploads", f"{rate:,.0f} MB/s together, {outcome.fast['seconds']:.1f} s; all right"),
        Verdict("CPU", f"{outcome.cpu_seconds:.1f} s"),
    ]
    if client["refusal"]:
        lines.append(Verdict("first refusal", client["refusal"]))
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge; exit code 1 when a promise was broken, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--slow", type=int, default=80, help="slow uploads (default: 80)")
    parser.add_argument("--slow-kib", type=int, default=3072, help="size of each, in KiB (default: 3072)")
    parser.add_argument("--rate", type=int, default=64, help="KiB a second of each (default: 64)")
    parser.add_argument("--fast", type=int, default=20, help="fast uploads (default: 20)")
    parser.add_argument("--fast-mib", type=int, default=64, help="size of each, in MiB (default: 64)")
    parser.add_argument("--dir", type=Path, default=None, help="on the disk to measure (default: the cache folder)")
    args = parser.parse_args(arguments)
    crowd = Crowd(
        slow=args.slow,
        slow_size=args.slow_kib * KIB,
        rate=args.rate * KIB,
        fast=args.fast,
        fast_size=args.fast_mib * MIB,
    )
    try:
        (server,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
        with tempfile.TemporaryDirectory(dir=args.dir or cache_folder()) as folder:
            outcome = measure(server, crowd, Path(folder), tell=lambda line: print(f"  {line}", file=sys.stderr))
    except CannotMeasure as reason:
        print(f"bench.crowd: {reason}", file=sys.stderr)
        return 2
    verdicts = judge(outcome)
    print(
        f"{server.title}, into MinIO: {crowd.slow} uploads of {args.slow_kib} KiB at {args.rate} KiB/s each, "
        f"and {crowd.fast} of {args.fast_mib} MiB"
    )
    print("\n".join(map(str, verdicts)))
    return 1 if any(verdict.held is False for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
