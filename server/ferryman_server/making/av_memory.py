"""How much FFmpeg may allocate at once, while something is made of a file: it knows one limit, for the whole process.

An index of 80 million samples takes 700 bytes in a hostile file and 2.8 GB in memory (measured). Pictures need larger
pieces than indices, so the limit is a higher one while a picture is decoded or scaled. One file at a time is worked on.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import av

_NO_LIMIT: Final = 2**31 - 1  # bytes: what FFmpeg has by itself
_OF_INDEX: Final = 64 << 20  # an index of 2.8 million samples: a day of 30 frames a second
_OF_PICTURE: Final = 160 << 20  # a plane of 8192×8192 pixels of 16 bits


def _setter() -> Callable[[int], None]:
    """`av_max_alloc`; nothing, on systems that do not look it up in the libraries that a library uses."""
    try:
        function = ctypes.CDLL(av._core.__file__).av_max_alloc
    except (AttributeError, OSError):
        return lambda _: None
    function.argtypes, function.restype = [ctypes.c_size_t], None
    return lambda limit: function(limit)


_limit: Final = _setter()


@contextmanager
def bounded() -> Iterator[None]:
    """What is needed to read a file."""
    _limit(_OF_INDEX)
    try:
        yield
    finally:
        _limit(_NO_LIMIT)


@contextmanager
def room_for_picture() -> Iterator[None]:
    """What is needed to decode one, within `bounded`."""
    _limit(_OF_PICTURE)
    try:
        yield
    finally:
        _limit(_OF_INDEX)
