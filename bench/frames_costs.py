"""What frames cost a server: memory, bytes written, an idle processor; and the page of a large library.

    python -m bench.frames_costs                             everything, into the local store and into MinIO
    python -m bench.frames_costs --what written --into disk  one thing, one store

Each line is a budget of DESIGN §11, or a promise of the library; what is measured, and how, says its module
(`frames_memory`, `frames_written`, `idle`, `library`).
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.bucket import Depot
from bench.errors import CannotMeasure
from bench.frames import a_depot
from bench.frames_memory import memory
from bench.frames_written import written
from bench.idle import SECONDS, idle
from bench.library import MEDIA, library
from bench.native import cache_folder
from bench.servers import Server, chosen
from bench.slow import Verdict

WHAT: Final = ("memory", "written", "idle", "library")
INTO: Final = ("disk", "minio")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and judge; exit code 1 when a budget was broken, 2 when nothing could be measured."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m bench.frames_costs", description=about)
    parser.add_argument("--what", nargs="+", choices=WHAT, default=WHAT, help="(default: all)")
    parser.add_argument("--into", nargs="+", choices=INTO, default=INTO, help="where it stores (default: both)")
    parser.add_argument("--rounds", type=int, default=3, help="uploads whose memory is compared (default: 3)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of each idle look (default: {SECONDS:.0f})")
    parser.add_argument("--media", type=int, default=MEDIA, help=f"in the library (default: {MEDIA})")
    parser.add_argument("--dir", type=Path, default=None, help="on the disk to measure (default: the cache folder)")
    args = parser.parse_args(arguments)
    missed = False
    try:
        (server,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
        with tempfile.TemporaryDirectory(dir=args.dir or cache_folder()) as folder, ExitStack() as stack:
            for into in args.into:
                depot = stack.enter_context(a_depot(Path(folder))) if into == "minio" else None
                print(f"{server.title}, into {into}", flush=True)
                for verdict in _measured(args, server, Path(folder), depot):
                    print(verdict, flush=True)
                    missed = missed or verdict.held is False
    except CannotMeasure as reason:
        print(f"bench.frames_costs: {reason}", file=sys.stderr)
        return 2
    return int(missed)


def _measured(args: argparse.Namespace, server: Server, place: Path, depot: Depot | None) -> Iterator[Verdict]:
    if "memory" in args.what:
        yield from memory(server, args.rounds, place, depot)
    if "written" in args.what:
        yield from written(server, place, depot)
    if "idle" in args.what:
        yield from idle(server, place, depot, args.seconds)
    if "library" in args.what and depot is None:  # rows are rows: where the bytes are makes no difference
        yield from library(server, place, args.media)


if __name__ == "__main__":
    sys.exit(main())
