"""The bytes that are sent: random ones that no coding makes smaller, and text for the codings, made once and kept."""

import os
import random
import string
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zstandard

from bench.native import cache_folder
from bench.scenarios import MIB, Scenario

# A period longer than the window of either coding (gzip 32 KiB, zstd 2 MiB), so that the repeat is not found.
TEXT_PERIOD: Final = 16 * MIB


@dataclass(frozen=True, slots=True)
class Body:
    """What the load client sends, and the content that the server must hold: `content` repeated to the size."""

    file: Path
    content: Path


def body_for(scenario: Scenario) -> Body:
    """The body of a scenario; the first call for a coding takes some seconds."""
    if scenario.coding is None:
        plain = _kept("random-1", lambda: iter([random.Random(1).randbytes(MIB)]))
        return Body(plain, plain)
    text = _kept("text-1", lambda: iter([_text(TEXT_PERIOD)]))
    encode = {"gzip": _gzip, "zstd": _zstd}[scenario.coding]
    coded = _kept(f"text-1-{scenario.size}.{scenario.coding}", lambda: encode(text.read_bytes(), scenario.size))
    return Body(coded, text)


def pieces(period: bytes, size: int) -> Iterator[memoryview]:
    """`size` bytes of the endlessly repeated period, piece by piece."""
    view = memoryview(period)
    for start in range(0, size, len(period)):
        yield view[: min(len(period), size - start)]


def _kept(name: str, make: Callable[[], Iterator[bytes]]) -> Path:
    path = cache_folder() / name
    if not path.exists():
        fresh = path.with_name(f"{name}.{os.getpid()}")  # two runs may make it at the same time
        with fresh.open("wb") as file:
            for piece in make():
                file.write(piece)
        fresh.replace(path)
    return path


def _text(size: int) -> bytes:
    """Words of a made-up language, the frequent ones as frequent as in a real one."""
    chance = random.Random(7)
    words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 11))) for _ in range(4000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    parts, held = [], 0
    while held < size:
        line = " ".join(chance.choices(words, weights, k=4096)) + ".\n"
        parts.append(line)
        held += len(line)
    return "".join(parts).encode()[:size]


def _gzip(period: bytes, size: int) -> Iterator[bytes]:
    coder = zlib.compressobj(6, wbits=31)
    for piece in pieces(period, size):
        yield coder.compress(piece)
    yield coder.flush()


def _zstd(period: bytes, size: int) -> Iterator[bytes]:
    coder = zstandard.ZstdCompressor(level=3).compressobj()
    for piece in pieces(period, size):
        yield coder.compress(piece)
    yield coder.flush()
