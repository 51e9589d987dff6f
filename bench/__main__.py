"""`make bench`: Ferryman beside other upload servers and beside C programs that do as little as possible.

Servers take turns on the same disk in one run, each on a fresh folder, after a warm-up round that does not count.
Tables of medians, spreads and ratios come on standard output, progress on standard error. Machines differ: read the
ratios.
"""

import argparse
import datetime
import fnmatch
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.bucket import Depot
from bench.errors import CannotMeasure
from bench.frames_load import SERVER, FramesLoad, FramesOutcome, frames_loads, frames_table, run
from bench.machine import machine
from bench.native import cache_folder, program
from bench.publish import write
from bench.report import budgets_table, heading, minio_table, outcome_table
from bench.results import Outcome
from bench.rounds import measure
from bench.run import Run
from bench.scenarios import Scenario, most_bytes, scenarios
from bench.servers import Missing, Server, chosen

Load = Scenario | FramesLoad
LEAST_ROUNDS = 5  # of what is published


def main() -> int:
    """Measure what was asked for; 1 when a turn of Ferryman's failed, 2 when nothing could be measured."""
    args = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped from outside: servers and data go too
    try:
        return _run(args)
    except CannotMeasure as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__, usage='make bench [ARGS="…"]')
    parser.add_argument("--rounds", type=_positive, help="rounds that count, after the warm-up (default: 5; quick: 1)")
    parser.add_argument("--scenarios", nargs="+", default=["*"], metavar="NAME", help="which loads; * stands for any")
    parser.add_argument("--servers", nargs="+", default=["*"], metavar="NAME", help="which servers; * stands for any")
    parser.add_argument("--mib", type=_positive, help="size of the large uploads (default: 1024; quick: 128)")
    parser.add_argument("--dir", type=Path, help="a folder on the disk to measure (default: the cache folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw a chart into this file")
    parser.add_argument("--publish", action="store_true", help="write both for docs/topics/performance.md")
    parser.add_argument("--quick", action="store_true", help="a look of some minutes: small sizes, one round")
    parser.add_argument("--list", action="store_true", help="name the scenarios and servers, and measure nothing")
    args = parser.parse_args()
    args.scenarios, args.servers = _names(args.scenarios), _names(args.servers)
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.mib = args.mib or (128 if args.quick else 1024)
    if args.publish and (args.quick or args.rounds < LEAST_ROUNDS or args.servers != ["*"]):
        parser.error(f"--publish is for all servers and {LEAST_ROUNDS} rounds or more: leave out --quick and --servers")
    if args.mib % 16:
        parser.error("--mib is a multiple of 16: sixteen uploads share it")
    return args


def _names(words: Sequence[str]) -> list[str]:
    """Names with blanks or commas between them."""
    return [name for word in words for name in word.split(",") if name]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _run(args: argparse.Namespace) -> int:
    everything = scenarios(args.mib, quick=args.quick)
    loads = [each for each in everything if _matches(each.name, args.scenarios)]
    frames = [each for each in frames_loads(quick=args.quick) if _matches(each.name, args.scenarios)]
    if not loads and not frames:
        all_loads: list[Load] = [*everything, *frames_loads(quick=args.quick)]
        names = ", ".join(each.name for each in all_loads)
        raise CannotMeasure(f"no scenario is called {' or '.join(args.scenarios)}; there are: {names}")
    servers, missing = chosen(args.servers, _matches)
    if args.list:
        _list([*loads, *frames], servers, missing)
        return 0
    if not servers:
        raise CannotMeasure("; ".join(f"{each.name}: {each.why}" for each in missing))
    loads = [each for each in loads if any(each.concerns(server) for server in servers)]
    frames = frames if any(server.name == SERVER for server in servers) else []
    if not loads and not frames:
        raise CannotMeasure("none of these servers stores where these scenarios ask for it")
    for name in ("load", "ping") if loads else ():
        program(name)  # a compiler that is missing is told before anything is started
    place = args.dir or cache_folder()
    _check_room(place, max([*([most_bytes(loads)] if loads else []), *(each.most_bytes for each in frames)]))
    with tempfile.TemporaryDirectory(prefix="run-", dir=place) as folder, ExitStack() as stack:
        depot, without = _depot([*loads, *frames], Path(folder), stack)
        if without:
            missing.append(without)
            loads = [each for each in loads if each.into != "minio"]
            frames = [each for each in frames if each.into != "minio"]
        if not loads and not frames:
            raise CannotMeasure(f"{missing[-1].title}: {missing[-1].why}")
        return _measure(args, loads, frames, servers, missing, Path(folder), depot)


def _depot(loads: Sequence[Load], folder: Path, stack: ExitStack) -> tuple[Depot | None, Missing | None]:
    """A MinIO for the run, if it needs one; or why there is none."""
    if all(each.into != "minio" for each in loads):
        return None, None
    _say("MinIO: it is built first where this machine has none, which takes some minutes once")
    place = folder / "minio"
    place.mkdir()
    try:
        return stack.enter_context(Depot(place)), None
    except CannotMeasure as error:
        return None, Missing(name="minio", title="MinIO", why=str(error))


def _measure(
    args: argparse.Namespace,
    loads: Sequence[Scenario],
    frames: Sequence[FramesLoad],
    servers: Sequence[Server],
    missing: Sequence[Missing],
    place: Path,
    depot: Depot | None,
) -> int:
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    told = Run(day=day, rounds=args.rounds, machine=machine(place), servers=servers, missing=missing)
    print(heading(told.machine, servers, missing), flush=True)
    outcomes: list[Outcome] = []
    of_frames: list[FramesOutcome] = []
    for scenario in loads:
        of_it = depot if scenario.into == "minio" else None
        outcomes.append(measure(scenario, servers, args.rounds, place, _say, of_it))
        print(f"\n{outcome_table(outcomes[-1], servers)}", flush=True)
        if args.json:  # what was asked for grows with each scenario
            write(args.json, told.json(outcomes))
        if args.svg:
            write(args.svg, told.svg(outcomes))
    for load in frames:
        ours = next(server for server in servers if server.name == SERVER)
        of_frames.append(run(load, ours, args.rounds, place, depot if load.into == "minio" else None, _say))
        print(f"\n{frames_table(of_frames[-1])}", flush=True)
        if args.json:
            write(args.json, told.json(outcomes, of_frames))
    if args.publish:  # … the documentation's files change when the run is whole
        told.publish(outcomes, of_frames)
    if any(scenario.into == "minio" for scenario in loads):
        print(f"\n{minio_table(outcomes, servers)}")
    print(f"\n{budgets_table(told.verdicts(outcomes, of_frames))}")
    names = [server.name for server in servers if server.kind == "ours"]
    failed = any(name in outcome.failures for outcome in outcomes for name in names)
    return int(failed or any(outcome.failure for outcome in of_frames))


def _list(loads: Sequence[Load], servers: Sequence[Server], missing: Sequence[Missing]) -> None:
    for scenario in loads:
        print(f"{scenario.name:17} {scenario.title}")
    print()
    for server in servers:
        print(f"{server.name:17} {server.title} {server.version}".rstrip())
    for each in missing:
        print(f"{each.name:17} MISSING: {each.why}")


def _matches(name: str, wanted: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)


def _check_room(place: Path, needed: int) -> None:
    if not place.is_dir():
        raise CannotMeasure(f"{place} is no folder: make it, or name another with --dir")
    free = shutil.disk_usage(place).free
    if free < needed:
        raise CannotMeasure(
            f"{place} has {free / 1e9:.1f} GB free, a turn needs {needed / 1e9:.1f} GB: "
            "choose another folder with --dir, smaller uploads with --mib, or other --scenarios"
        )


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
