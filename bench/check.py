"""After a turn: does the server hold the right bytes?"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from bench.bodies import pieces
from bench.bucket import Bucket
from bench.errors import CannotMeasure


class Reader(Protocol):
    """What bytes are read from."""

    def read(self, amount: int, /) -> bytes:
        """So many bytes, fewer only at the end."""


def check_stored(data: Path, *, count: int, size: int, content: Path) -> None:
    """Look for `count` files of `size` bytes with the right content anywhere under the folder of a stopped server.

    Raises CannotMeasure when there are fewer.
    """
    period = content.read_bytes()
    right = sum(_is_right(path, size, period) for path in _files_of(data, size))
    _judge(right, count, size)


def check_objects(bucket: Bucket, *, count: int, size: int, content: Path) -> None:
    """The same for a bucket: look for `count` objects. Of one that came in one PUT, MinIO's MD5 is compared."""
    period = content.read_bytes()
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces(period, size):
        digest.update(piece)
    right = 0
    for each in bucket.client().list_objects(bucket.name, recursive=True):
        if each.size == size:
            right += each.etag == digest.hexdigest() or _is_right_object(bucket, each.object_name or "", size, period)
    _judge(right, count, size)


def _judge(right: int, count: int, size: int) -> None:
    if right < count:
        raise CannotMeasure(f"of {count:,} uploads it holds only {right:,} with the right {size:,} bytes")


def _files_of(data: Path, size: int) -> Iterator[Path]:
    named = (Path(folder) / name for folder, _, names in os.walk(data) for name in names)
    return (path for path in named if path.stat().st_size == size)


def _is_right(path: Path, size: int, period: bytes) -> bool:
    with path.open("rb", buffering=0) as file:
        return _reads_right(file, size, period)


def _is_right_object(bucket: Bucket, name: str, size: int, period: bytes) -> bool:
    answer = bucket.client().get_object(bucket.name, name)
    try:
        return _reads_right(answer, size, period)
    finally:
        answer.close()


def _reads_right(source: Reader, size: int, period: bytes) -> bool:
    return all(source.read(len(piece)) == piece for piece in pieces(period, size))
