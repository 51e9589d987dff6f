"""Marks beside an upload's bytes, in an extended attribute of its file.

One sync (`fsync`, not `fdatasync`) makes both durable, and in which order does not matter: a mark that is there without
its bytes is found out by its CRC. So there are two: the one that is on its way, and the one before it, which is known
to have arrived.
"""

import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ferryman_server.storage.base import Mark

NAME: Final = "user.ferryman.marks"

_VERSION: Final = b"1"
_PAIR: Final = struct.Struct(">QQ")  # offset, CRC64/NVME
_possible: Final = hasattr(os, "setxattr")  # Linux only


def put_marks(descriptor: int, marks: Sequence[Mark]) -> bool:
    """Leave these marks at an open file instead of those that are there; False where that is not possible."""
    if not _possible:
        return False
    value = _VERSION + b"".join(_PAIR.pack(mark.offset, mark.crc64) for mark in marks)
    try:
        os.setxattr(descriptor, NAME, value)
    except OSError:  # a file system without attributes, or without room for one
        return False
    return True


def marks_at(path: str) -> list[Mark]:
    """The marks at a file; none when it is not there, or when they were not left by this version."""
    if not _possible:
        return []
    try:
        value = os.getxattr(path, NAME, follow_symlinks=False)
    except OSError:
        return []
    pairs = value[len(_VERSION) :]
    if not value.startswith(_VERSION) or len(pairs) % _PAIR.size:
        return []
    return [Mark(*pair) for pair in _PAIR.iter_unpack(pairs)]


def drop_marks(path: str) -> None:
    """Take the marks away, if there are any: they are of no use at an upload that is complete."""
    if _possible:
        with suppress(OSError):
            os.removexattr(path, NAME, follow_symlinks=False)
