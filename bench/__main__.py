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
from bench.budgets import Verdict, judge
from bench.chart import chart
from bench.errors import CannotMeasure
from bench.machine import machine
from bench.native import HERE, cache_folder, program
from bench.publish import as_json, write
from bench.report import budgets_table, heading, outcome_table
from bench.results import Outcome
from bench.rounds import measure
from bench.scenarios import Scenario, most_bytes, scenarios
from bench.servers import Missing, Server, chosen

LEAST_ROUNDS = 5  # of what is published
DOCS = HERE.parent / "docs" / "topics"


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
    loads = [each for each in scenarios(args.mib, quick=args.quick) if _matches(each.name, args.scenarios)]
    if not loads:
        names = ", ".join(each.name for each in scenarios(args.mib, quick=args.quick))
        raise CannotMeasure(f"no scenario is called {' or '.join(args.scenarios)}; there are: {names}")
    servers, missing = chosen(args.servers, _matches)
    if args.list:
        _list(loads, servers, missing)
        return 0
    if not servers:
        raise CannotMeasure("; ".join(f"{each.name}: {each.why}" for each in missing))
    for name in ("load", "ping"):
        program(name)  # a compiler that is missing is told before anything is started
    place = args.dir or cache_folder()
    _check_room(place, most_bytes(loads))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=place)))
        depot = None
        if any(each.into == "minio" for each in loads):
            try:
                depot = _depot(folder, stack)
            except CannotMeasure as error:
                missing.append(Missing(name="minio", title="MinIO", why=str(error)))
                loads = [each for each in loads if each.into != "minio"]
        if not loads:
            raise CannotMeasure(f"MinIO: {missing[-1].why}")
        return _measure(args, loads, servers, missing, folder, depot)


def _depot(folder: Path, stack: ExitStack) -> Depot:
    """A MinIO for the run; the first time, it is built."""
    _say("MinIO is built if it is not there; that takes some minutes")
    place = folder / "minio"
    place.mkdir()
    return stack.enter_context(Depot(place))


def _measure(
    args: argparse.Namespace,
    loads: list[Scenario],
    servers: list[Server],
    missing: list[Missing],
    place: Path,
    depot: Depot | None,
) -> int:
    facts, day = machine(place), datetime.datetime.now(datetime.UTC).date().isoformat()
    print(heading(facts, servers, missing), flush=True)
    outcomes: list[Outcome] = []
    verdicts: list[Verdict] = []
    for scenario in loads:
        outcomes.append(
            measure(scenario, servers, args.rounds, place, _say, depot if scenario.into == "minio" else None)
        )
        print(f"\n{outcome_table(outcomes[-1], servers)}", flush=True)
        titles = {each.name: each.title for each in servers} | {each.name: each.title for each in missing}
        verdicts = judge({outcome.scenario.name: outcome for outcome in outcomes}, titles)
        told = as_json(
            day=day,
            rounds=args.rounds,
            machine=facts,
            servers=servers,
            missing=missing,
            outcomes=outcomes,
            verdicts=verdicts,
        )
        foot = f"{facts['processor']}, {facts['cores']} cores, {facts['file_system']}; {_rounds(args.rounds)}, {day}"
        if missing:
            foot += f"; missing here: {', '.join(each.title for each in missing)}"
        _write(args, told, chart(outcomes, servers, foot), last=scenario is loads[-1])
    print(f"\n{budgets_table(verdicts)}")
    ours = [server.name for server in servers if server.kind == "ours"]
    return int(any(name in outcome.failures for outcome in outcomes for name in ours))


def _write(args: argparse.Namespace, told: str, drawn: str, *, last: bool) -> None:
    """Files that were asked for grow with each scenario; the documentation's change when the run is whole."""
    if args.json:
        write(args.json, told)
    if args.svg:
        write(args.svg, drawn)
    if args.publish and last:
        write(DOCS / "performance.json", told)
        write(DOCS / "performance.svg", drawn)


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


def _rounds(count: int) -> str:
    return f"{count} round{'s' if count > 1 else ''}"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
