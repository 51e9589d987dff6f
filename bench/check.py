"""After a turn: does the server hold the right bytes?"""

import os
from pathlib import Path

from bench.bodies import pieces
from bench.errors import CannotMeasure


def check_stored(data: Path, *, count: int, size: int, content: Path) -> None:
    """Look for `count` files of `size` bytes with the right content anywhere under the folder of a stopped server.

    Raises CannotMeasure when there are fewer.
    """
    period = content.read_bytes()
    right = sum(_is_right(path, size, period) for path in _files_of(data, size))
    if right < count:
        raise CannotMeasure(f"of {count:,} uploads it holds only {right:,} with the right {size:,} bytes")


def _files_of(data: Path, size: int) -> list[Path]:
    named = (Path(folder) / name for folder, _, names in os.walk(data) for name in names)
    return [path for path in named if path.stat().st_size == size]


def _is_right(path: Path, size: int, period: bytes) -> bool:
    with path.open("rb", buffering=0) as file:
        return all(file.read(len(piece)) == piece for piece in pieces(period, size))
