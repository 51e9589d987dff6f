"""`ferryman bench frames`: how soon the frames of an archive are there, and what finding them costs."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ferryman_server.benching.address import Address
from ferryman_server.benching.archives import FRAME, HEIGHT, MOST_FRAMES, WIDTH
from ferryman_server.benching.errors import CannotRate
from ferryman_server.benching.frames_report import as_json, as_text
from ferryman_server.benching.judging import kept
from ferryman_server.benching.own_server import own_server
from ferryman_server.benching.rounds import COUNTS, HOLD, HOLD_S3, measure
from ferryman_server.commands.base import FINE, PROBLEMS
from ferryman_server.settings import Settings

ROUNDS: Final = 3
ROOM: Final = 3  # archives' worth: what is deleted is freed a moment later


class RateFrames:
    """See :class:`ferryman_server.commands.bench.Bench`."""

    name = "frames"
    help = f"upload archives of {WIDTH} × {HEIGHT} frames, and tell how soon their frames are there"
    flags: Sequence[str] = ("data", "store", "s3_endpoint", "durability")

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Which server, how often, and how to tell it."""
        parser.add_argument(
            "--url", help="a server that runs, for instance http://127.0.0.1:1080 (default: one is started for this)"
        )
        parser.add_argument(
            "--rounds", type=_positive, default=ROUNDS, metavar="N", help=f"uploads of each size (default: {ROUNDS})"
        )
        parser.add_argument("--json", action="store_true", help="one JSON document: bytes, seconds, bytes a second")
        sizes = ", ".join(map(str, COUNTS))
        parser.add_argument(
            "--counts",
            type=_counts,
            default=COUNTS,
            metavar="N,…",
            help=f"frames of each archive (default: {sizes}; budgets are about these)",
        )

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Measure and tell. Raises CannotRate and StoreError."""
        with _server(settings, args) as (address, hold):
            if not args.json:
                print(_what(settings, args), flush=True)
            found = measure(address, args.counts, args.rounds, hold, _progress)
        _progress("")
        print(json.dumps(as_json(found, args.rounds), indent=2) if args.json else as_text(found))
        return FINE if all(kept(count, samples) for count, samples in found.items()) else PROBLEMS


@contextmanager
def _server(settings: Settings, args: argparse.Namespace) -> Iterator[tuple[Address, int | None]]:
    """The server, and after how many bytes it can know a first frame."""
    if args.url is not None:
        yield Address.of(args.url), None
        return
    needed = ROOM * max(args.counts) * FRAME
    with own_server(settings, _place(settings), needed) as address:
        yield address, HOLD_S3 if settings.in_bucket else HOLD


def _place(settings: Settings) -> Path:
    """The disk that is meant: that of the data folder if one was named, else the user's cache's."""
    if "data" in settings.sources:
        if not settings.data.is_dir():
            raise CannotRate(f"{settings.data} is no folder: make it, or name another with --data")
        return settings.data
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ferryman"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotRate(f"{cache} cannot be made: {error.strerror or error}; name a folder with --data") from error
    return cache


def _what(settings: Settings, args: argparse.Namespace) -> str:
    rounds = f"{args.rounds} round{'s' if args.rounds > 1 else ''}"
    if args.url is not None:
        return f"{args.url}: archives of {WIDTH} × {HEIGHT} frames, {rounds}"
    where = f"in {_place(settings)}" if settings.store == "local" else f"into {settings.store}"
    return f"a server of its own, {where}: archives of {WIDTH} × {HEIGHT} frames, {rounds}"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a number above 0 is expected")
    return number


def _counts(text: str) -> Sequence[int]:
    counts = sorted({int(word) for word in text.split(",")})
    if not 1 <= counts[0] <= counts[-1] <= MOST_FRAMES:
        raise argparse.ArgumentTypeError(f"numbers from 1 to {MOST_FRAMES} are expected")
    return counts
