"""Deflated archives without a server: what the walker takes for a film's frames beside Python's zipfile, in memory."""

import io
import statistics
import time
import zipfile
from collections.abc import Callable
from typing import Final

from ferryman_server.media.zip_index import Walker
from tests.support.archive import frames_archive

PIECE: Final = 1 << 20  # bytes that the walker gets at once


def walk(rounds: int) -> float:
    """How many times as fast as Python's zipfile the walker is, in the median of the rounds."""
    data, ratios = deflated(), []
    for _ in range(rounds):
        plain, walked = _timed(lambda: _unpack(data)), _timed(lambda: _walk(data))
        ratios.append(plain / walked)
    return statistics.median(ratios)


def deflated() -> bytes:
    """The frames of a film, deflated: how well that goes is a matter of what they show."""
    out = io.BytesIO()
    with zipfile.ZipFile(frames_archive()) as film, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in film.namelist():
            packed.writestr(name, film.read(name))
    return out.getvalue()


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _unpack(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        for name in packed.namelist():
            packed.read(name)


def _walk(data: bytes) -> None:
    walker, whole = Walker(), memoryview(data)
    for start in range(0, len(data), PIECE):
        walker.feed(whole[start : start + PIECE])
    walker.finish()
