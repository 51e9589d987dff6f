"""An archive of frames on its way to the library: how soon frames are there, and what indexing costs.

    python -m bench.frames                into the local store
    python -m bench.frames --into minio   into MinIO

For 10, 100, 500 and 5,000 raw frames of 320 × 240 (stored, one TCP connection, as fast as the server takes them) it
measures what `ferryman bench frames` does, and by the same code:

- the first frame: seconds from the first MiB (MinIO: the first acknowledged part), the sender waiting, to its listing;
- ready: seconds from the answer to the last byte to the medium in the library;
- throughput, beside the same bytes with `process=none`, in alternating rounds.

And of a film's frames deflated, without a server: what the walker takes beside Python's zipfile. DESIGN §11 has the
budgets. Nothing is made of the frames in the background.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.bucket import Depot
from bench.errors import CannotMeasure
from bench.frames_walk import walk
from bench.fresh_server import fresh_server
from bench.native import cache_folder
from bench.servers import Server, chosen, without_derived
from bench.slow import Verdict
from ferryman_server.benching import rounds
from ferryman_server.benching.judging import figures
from ferryman_server.benching.rounds import COUNTS, HOLD, HOLD_S3, Samples

LEAST_WALK: Final = 1.5  # times zipfile's speed


def measure(
    server: Server,
    counts: Sequence[int],
    times: int,
    place: Path,
    depot: Depot | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[int, Samples]:
    """Start the server on a fresh folder in `place`, or over a bucket of the depot, and upload every size of archive so
    often. Raises CannotMeasure."""
    with fresh_server(without_derived(server), place, depot) as fresh:
        return rounds.measure(fresh.address, counts, times, HOLD_S3 if depot else HOLD, say)


def judge(found: Mapping[int, Samples], walked: float | None = None) -> list[Verdict]:
    """Every figure as a line, with whether the budget holds."""
    lines = [
        Verdict(f"{count} frames: {figure.name}", figure.text, figure.held)
        for count, samples in found.items()
        for figure in figures(count, samples)
    ]
    if walked is not None:
        lines.append(Verdict("deflated: the walker beside zipfile", f"× {walked:.2f}", walked >= LEAST_WALK))
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge; exit code 1 when a budget was broken, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.frames", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="uploads of each size (default: 5)")
    parser.add_argument("--into", choices=("disk", "minio"), default="disk", help="where it stores (default: disk)")
    parser.add_argument("--dir", type=Path, default=None, help="on the disk to measure (default: the cache folder)")
    args = parser.parse_args(arguments)
    try:
        (server,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
        with tempfile.TemporaryDirectory(dir=args.dir or cache_folder()) as folder, ExitStack() as stack:
            depot = stack.enter_context(a_depot(Path(folder))) if args.into == "minio" else None
            found = measure(server, COUNTS, args.rounds, Path(folder), depot)
    except CannotMeasure as reason:
        print(f"bench.frames: {reason}", file=sys.stderr)
        return 2
    verdicts = judge(found, walk(args.rounds))
    print(f"{server.title}, into {args.into}: archives of frames")
    print("\n".join(map(str, verdicts)))
    return 1 if any(verdict.held is False for verdict in verdicts) else 0


def a_depot(place: Path) -> Depot:
    """A MinIO with a folder of its own in `place`."""
    folder = place / "minio"
    folder.mkdir()
    return Depot(folder)


if __name__ == "__main__":
    sys.exit(main())
