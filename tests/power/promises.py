"""What a client was told, and when: the promises that a power cut must not break.

*When* is a place in the log of operations. An answer was given when the operation that sent its last byte had happened
(:meth:`OpLog.sent`): from there on it binds the server. Bytes had been sent, and a deletion had been asked for, when
the log had grown to the length that the client saw just before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tests.power.oplog import OpLog
from tests.support.uploading import Dialect

ASSEMBLED: Final = "concatenation"


class Fact(StrEnum):
    """What an answer says about an upload."""

    EXISTS = "exists"
    STORED = "stored"  # so many bytes
    COMPLETE = "complete"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Promise:
    """A fact, told by the answer whose last byte was the `count`-th to `peer`."""

    fact: Fact
    value: int
    peer: int
    count: int


@dataclass(slots=True)
class Story:
    """One upload, as its client knows it."""

    way: str  # in which it is uploaded
    whole: bytes
    path: str | None = None
    promises: list[Promise] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)  # length of the log; bytes sent at most, from there on
    deletion: int | None = None  # length of the log when it was asked for
    grains: set[int] | None = None  # offsets of requests that are all or nothing; None: every offset may be told

    @property
    def dialect(self) -> Dialect:
        """The protocol it goes by."""
        return "rufh" if "IETF" in self.way else "tus"

    @property
    def assembled(self) -> bool:
        """Whether the server puts it together from other uploads."""
        return self.way == ASSEMBLED

    def __str__(self) -> str:
        return f"{self.way}, {len(self.whole)} bytes, {self.path}"


@dataclass(frozen=True, slots=True)
class Known:
    """What holds for one upload at one moment."""

    exists: bool = False
    stored: int = 0  # bytes, at least
    complete: bool = False
    gone: bool = False
    deletion: bool = False  # was asked for
    sent: int = 0  # bytes, at most


class Stories:
    """All uploads of a run, to be asked about any moment of its log."""

    def __init__(self, stories: list[Story], log: OpLog, before: Sequence[tuple[Story, Known]] = ()) -> None:
        """`before`: stories among these that had begun before the log did, and what had been promised by then."""
        self.stories = stories
        begun = {id(story): known for story, known in before}
        self._before = [begun.get(id(story), Known()) for story in stories]
        self._promises = [
            [(log.sent(promise.peer, promise.count), promise) for promise in story.promises] for story in stories
        ]
        self._sent = [[(log.moment(size), count) for size, count in story.sent] for story in stories]
        self._deletions = [None if story.deletion is None else log.moment(story.deletion) for story in stories]

    def at(self, moment: int) -> list[tuple[Story, Known]]:
        """What holds when so many operations have happened, for every upload that anything was sent of."""
        return [
            (story, self._known(number, moment))
            for number, story in enumerate(self.stories)
            if story.path is not None and self._sent[number] and self._sent[number][0][0] <= moment
        ]

    def _known(self, number: int, moment: int) -> Known:
        told = [promise for when, promise in self._promises[number] if when <= moment]
        facts = {promise.fact for promise in told}
        asked = self._deletions[number]
        before = self._before[number]
        return Known(
            exists=before.exists or Fact.EXISTS in facts,
            stored=max([before.stored, *(promise.value for promise in told if promise.fact is Fact.STORED)]),
            complete=before.complete or Fact.COMPLETE in facts,
            gone=before.gone or Fact.GONE in facts,
            deletion=before.deletion or (asked is not None and asked <= moment),
            sent=max([before.sent, *(count for when, count in self._sent[number] if when <= moment)]),
        )
