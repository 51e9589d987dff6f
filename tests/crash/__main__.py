"""`make soak`: the crash machine for as long as one likes, and a table of what came of it.

make soak                                   ten minutes of new seeds
make soak ARGS="--minutes 60"
make soak ARGS="--into minio"               the same with a MinIO as the server's store
make soak ARGS="--seed 12 --steps 40"       one run again, as a failure prints it
"""

import argparse
import random
import signal
import sys
import time

from tests.crash.figures import Figures
from tests.crash.ledger import Broken
from tests.crash.machine import run_in_new_folder
from tests.crash.schedule import INTOS, draw
from tests.support.small_disk import can_mount


def main() -> int:
    """Run seeds until the time is over or a promise is broken; 1 when one was."""
    parser = argparse.ArgumentParser(prog="make soak", description="Uploads under force.")
    parser.add_argument("--into", choices=INTOS, default="disk", help="where the server stores (default: disk)")
    parser.add_argument("--seed", type=int, help="this run only")
    parser.add_argument("--steps", type=int, default=40, help="things that go wrong in a run (default: 40)")
    parser.add_argument("--clients", type=int, default=6, help="clients at once (default: 6)")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long new seeds are tried (default: 10)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way the server ends with its driver
    figures, mountable, chance = Figures(), can_mount(), random.SystemRandom()
    over, runs, status = time.monotonic() + args.minutes * 60, 0, 0
    while runs == 0 or (args.seed is None and time.monotonic() < over):
        seed = chance.randrange(10**9) if args.seed is None else args.seed
        plan = draw(seed, args.steps, clients=args.clients, can_mount=mountable, into=args.into)
        print(f"seed {seed} …", flush=True)
        began = time.monotonic()
        try:
            found = run_in_new_folder(plan)
        except Broken as broken:
            print(f"\nBROKEN: {broken}")
            again = f"--into {args.into} --seed {seed} --steps {args.steps} --clients {args.clients}"
            print(f'\nAgain: make soak ARGS="{again}"')
            status = 1
            break
        except KeyboardInterrupt:
            print("stopped")
            status = 130
            break
        runs += 1
        figures.add(found)
        print(f"  {time.monotonic() - began:.0f} s: {found.summary()}", flush=True)
    if runs:
        print(f"\n{runs} runs of {args.steps} steps in which no promise was broken:\n\n{figures.table()}")
    return status


if __name__ == "__main__":
    sys.exit(main())
