"""The power-cut model for as long as one likes.

python -m tests.power                              ten minutes of new seeds
python -m tests.power --seed 12 --cuts 500         one run, cut in many places
python -m tests.power --seed 12 --all              … and at every moment at which what is synced changes
python -m tests.power --look FILE                  judge a run again that was kept because something was wrong
"""

import argparse
import pickle
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.power.conftest import in_memory
from tests.power.cuts import LUCKY, Cut, Outcome, drawn, judge, left_after, report, strict_moments
from tests.power.disk import Image
from tests.power.jobs import Plan
from tests.power.recording import Recording, record, record_after

FAILING = (None, None, None, (6, "/data"), (4, "/uploads/"), (3, "/files/"), (4, "/state.db-wal"))


def main() -> int:
    """Record and cut runs until the time is over or a promise is broken; 1 when one was."""
    parser = argparse.ArgumentParser(prog="python -m tests.power", description="Power cuts, computed.")
    parser.add_argument("--seed", type=int, help="this run only")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long new seeds are tried (default: 10)")
    parser.add_argument("--cuts", type=int, default=60, help="strict ones, and lucky ones, in a run (default: 60)")
    parser.add_argument("--all", action="store_true", help="every strict cut, and as many lucky ones")
    parser.add_argument("--look", type=Path, metavar="FILE", help="judge a kept run again")
    args = parser.parse_args()
    if args.look is not None:
        return _look(args.look)
    over, chance = time.monotonic() + args.minutes * 60, random.SystemRandom()
    total = Outcome()
    while True:
        seed = chance.randrange(10**9) if args.seed is None else args.seed
        began = time.monotonic()
        if not _run(seed, None if args.all else args.cuts, total):
            return 1
        print(f"seed {seed}: {time.monotonic() - began:.0f} s; {_told(total)}", flush=True)
        if args.seed is not None or time.monotonic() > over:
            return 0


def draw(seed: int) -> Plan:
    """A run, drawn by its seed."""
    chance = random.Random(seed)
    failing = chance.choice(FAILING)
    return Plan(
        seed=seed,
        clients=chance.randint(1, 5),
        ends=tuple(chance.choice(("kill", "kill", "stop")) for _ in range(chance.randint(0, 3))),
        long=failing is None,
        pause=chance.choice((0.0, 0.05, 0.2)),
        failing=failing,
        delay=chance.choice((50, 400, 4000)),
        joined=chance.random() < 0.5,
    )


def _run(seed: int, cuts: int | None, total: Outcome) -> bool:
    """One run and its cuts, and a run after some of them; whether all was well."""
    plan, chance = draw(seed), random.Random(seed)
    print(f"seed {seed}: {plan}", flush=True)
    with tempfile.TemporaryDirectory(prefix="power-", dir=in_memory()) as folder:
        place = Path(folder).resolve()
        run = record(plan, place / "run")
        if not _judged(run, _chosen(run, chance, cuts), place, total):
            return False
        for number in range(2):
            cut = Cut(chance.randint(0, len(run.log)), chance.choice((Image.STRICT, *LUCKY)), chance.getrandbits(32))
            after = Plan(seed=seed + number, ends=(), pause=0.0, joined=plan.joined, delay=plan.delay)
            again = record_after(after, place / f"after-{number}", left_after(run, cut), run.stories.at(cut.moment))
            if not _judged(again, _chosen(again, chance, cuts and cuts // 2), place, total):
                print(f"this was after {cut}")
                return False
            shutil.rmtree(place / f"after-{number}")
    return True


def _chosen(run: Recording, chance: random.Random, cuts: int | None) -> list[Cut]:
    most = len(strict_moments(run.log)) if cuts is None else cuts
    return drawn(run.log, chance, strict=most, lucky=most)


def _judged(run: Recording, cuts: list[Cut], place: Path, total: Outcome) -> bool:
    judge(run, cuts, place, total)
    if total.faults:
        kept = Path(tempfile.gettempdir()) / f"power-{time.strftime('%Y%m%d-%H%M%S')}.pickle"
        kept.write_bytes(pickle.dumps((run, cuts)))
        print(f"{report(total)}\n\nAgain: python -m tests.power --look {kept}")
    return not total.faults


def _look(kept: Path) -> int:
    run, cuts = pickle.loads(kept.read_bytes())
    with tempfile.TemporaryDirectory(prefix="power-", dir=in_memory()) as folder:
        outcome = judge(run, cuts, Path(folder).resolve())
    print(report(outcome) if outcome.faults else _told(outcome))
    return bool(outcome.faults)


def _told(outcome: Outcome) -> str:
    return f"{outcome.cuts} cuts, at most {outcome.volatile} written bytes had to come again, {outcome.again} sent ones"


if __name__ == "__main__":
    sys.exit(main())
