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
from bench.machine import machine
from bench.native import cache_folder, program
from bench.publish import write
from bench.report import budgets_table, heading, minio_table, outcome_table
from bench.results import Outcome
from bench.rounds import measure
from bench.run import Run
from bench.scenarios import Scenario, most_bytes, scenarios
from bench.servers import Missing, Server, chosen

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
    if not loads:
        names = ", ".join(each.name for each in everything)
        raise CannotMeasure(f"no scenario is called {' or '.join(args.scenarios)}; there are: {names}")
    servers, missing = chosen(args.servers, _matches)
    if args.list:
        _list(loads, servers, missing)
        return 0
    if not servers:
        raise CannotMeasure("; ".join(f"{each.name}: {each.why}" for each in missing))
    loads = [each for each in loads if any(each.concerns(server) for server in servers)]
    if not loads:
        raise CannotMeasure("none of these servers stores where these scenarios ask for it")
    for name in ("load", "ping"):
        program(name)  # a compiler that is missing is told before anything is started
    place = args.dir or cache_folder()
    _check_room(place, most_bytes(loads))
    with tempfile.TemporaryDirectory(prefix="run-", dir=place) as folder, ExitStack() as stack:
        depot, without = _depot(loads, Path(folder), stack)
        if without:
            missing.append(without)
            loads = [each for each in loads if each.into != "minio"]
        if not loads:
            raise CannotMeasure(f"{missing[-1].title}: {missing[-1].why}")
        return _measure(args, loads, servers, missing, Path(folder), depot)


def _depot(loads: Sequence[Scenario], folder: Path, stack: ExitStack) -> tuple[Depot | None, Missing | None]:
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
    servers: Sequence[Server],
    missing: Sequence[Missing],
    place: Path,
    depot: Depot | None,
) -> int:
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    run = Run(day=day, rounds=args.rounds, machine=machine(place), servers=servers, missing=missing)
    print(heading(run.machine, servers, missing), flush=True)
    outcomes: list[Outcome] = []
    for scenario in loads:
        of_it = depot if scenario.into == "minio" else None
        outcomes.append(measure(scenario, servers, args.rounds, place, _say, of_it))
        print(f"\n{outcome_table(outcomes[-1], servers)}", flush=True)
        if args.json:  # what was asked for grows with each scenario
            write(args.json, run.json(outcomes))
        if args.svg:
            write(args.svg, run.svg(outcomes))
    if args.publish:  # … the documentation's files change when the run is whole
        run.publish(outcomes)
    if any(scenario.into == "minio" for scenario in loads):
        print(f"\n{minio_table(outcomes, servers)}")
    print(f"\n{budgets_table(run.verdicts(outcomes))}")
    ours = [server.name for server in servers if server.kind == "ours"]
    return int(any(name in outcome.failures for outcome in outcomes for name in ours))


def _list(loads: Sequence[Scenario], servers: Sequence[Server], missing: Sequence[Missing]) -> None:
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
