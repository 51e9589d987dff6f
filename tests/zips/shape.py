"""What one row of the table of shapes is, and the ordinary entries that most rows are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from ferryman_server.media.entries import STORED
from tests.zips.build import Archive, Member

Source = Archive | bytes | Callable[[], bytes]  # what an archive is made from

FRAME: Final = bytes(range(256)) * 2 + bytes(88)  # 600 bytes none of which is like its neighbour, and then black
FIRST: Final = Member(b"first.rgb", FRAME)
LAST: Final = Member(b"last.rgb", FRAME[::-1], method=STORED)


@dataclass(frozen=True)
class Shape:
    """One archive and what has to become of it.

    A refusal has to name `entry`: its name, or the part of it that any way of quoting leaves as it is; None where there
    is none to name, or where it cannot be told which. It has to contain one of `words`, in lower case.
    """

    name: str
    make: Callable[[], bytes]
    verdict: Literal["refuse", "accept"]
    entry: str | None
    words: tuple[str, ...]
    why: str


def refused(name: str, source: Source, entry: str | None, words: str, why: str) -> Shape:
    """A shape to refuse; `words` are separated by commas."""
    return Shape(name, _maker(source), "refuse", entry, tuple(word.strip() for word in words.split(",")), why)


def accepted(name: str, source: Source, why: str) -> Shape:
    """A shape to accept."""
    return Shape(name, _maker(source), "accept", None, (), why)


def among(*members: Member) -> Archive:
    """An archive that has these members between two that are as they should be."""
    return Archive([FIRST, *members, LAST])


def _maker(source: Source) -> Callable[[], bytes]:
    if isinstance(source, bytes):
        return lambda: source
    return source.to_bytes if isinstance(source, Archive) else source
