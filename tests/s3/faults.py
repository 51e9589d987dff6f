"""What can happen to a request on its way to S3 and back."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.s3 import answers
from tests.s3.log import Seen
from tests.s3.moments import EVERYTHING, Cut, Fault, Instead, Place, Way


@dataclass(frozen=True)
class Answer(Fault):
    """An error without asking upstream. The body is read and dropped, or left unread, and the connection closed."""

    status: int
    code: str
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    read_body: bool = field(default=True, kw_only=True)

    async def at_request(self, seen: Seen) -> None:
        """See `Fault`."""
        raise self._instead()

    def _instead(self) -> Instead:
        def answer(seen: Seen, closes: bool) -> bytes:
            return answers.error(seen, self.status, self.code, self.headers, closes=closes)

        return Instead(self.status, answer, read_body=self.read_body)


@dataclass(frozen=True)
class ChangeAnswer(Answer):
    """Upstream does it, and the client is told of an error."""

    async def at_request(self, seen: Seen) -> None:
        """See `Fault`."""

    async def at_answer(self, seen: Seen) -> None:
        """See `Fault`."""
        raise self._instead()


@dataclass(frozen=True)
class ErrorInside200(Fault):
    """200, and then an error as the document: before upstream was asked, or once it has done it."""

    code: str
    done: bool = field(default=False, kw_only=True)

    async def at_request(self, seen: Seen) -> None:
        """See `Fault`."""
        if not self.done:
            raise self._instead()

    async def at_answer(self, seen: Seen) -> None:
        """See `Fault`."""
        if self.done:
            raise self._instead()

    def _instead(self) -> Instead:
        return Instead(200, lambda seen, closes: answers.error_inside_200(seen, self.code, closes=closes))


@dataclass(frozen=True)
class Drop(Fault):
    """Close the connections: before upstream is asked, or when so many bytes of the body have been passed on.

    A body that is shorter is dropped at its end: upstream has all of a request then, and may do it.
    """

    after: int | None = None
    reset: bool = field(default=False, kw_only=True)  # RST, not FIN
    way: Way = field(default=Way.UP, kw_only=True)  # DOWN: in the middle of the answer

    async def at_request(self, seen: Seen) -> None:
        """See `Fault`."""
        if self.after is None and self.way is Way.UP:
            raise Cut(reset=self.reset)

    def room(self, place: Place, seen: Seen) -> int:
        """See `Fault`."""
        return (self.after or 0) - place.offset if place.way is self.way else EVERYTHING

    async def at(self, place: Place, seen: Seen) -> None:
        """See `Fault`."""
        if place.way is self.way and (place.over or place.offset == (self.after or 0)):
            raise Cut(reset=self.reset)


@dataclass(frozen=True)
class LoseAnswer(Fault):
    """Upstream does it, and the connection closes without an answer."""

    reset: bool = field(default=False, kw_only=True)  # RST, not FIN

    async def at_answer(self, seen: Seen) -> None:
        """See `Fault`."""
        raise Cut(reset=self.reset)


@dataclass(frozen=True)
class Slow(Fault):
    """A body that flows at this speed."""

    rate: float  # bytes a second
    way: Way = field(default=Way.UP, kw_only=True)

    def room(self, place: Place, seen: Seen) -> int:
        """See `Fault`."""
        return max(1, int(self.rate / 20)) if place.way is self.way else EVERYTHING

    async def touch(self, piece: memoryview, content: int, place: Place, seen: Seen) -> None:
        """See `Fault`."""
        if place.way is self.way:
            await asyncio.sleep(len(piece) / self.rate)


@dataclass(frozen=True)
class Corrupt(Fault):
    """Flip a bit of one byte of a body, if it is as long."""

    position: int = 0
    way: Way = field(default=Way.UP, kw_only=True)

    def room(self, place: Place, seen: Seen) -> int:
        """See `Fault`."""
        if place.way is not self.way or place.offset > self.position:
            return EVERYTHING
        return max(1, self.position - place.offset)

    async def touch(self, piece: memoryview, content: int, place: Place, seen: Seen) -> None:
        """See `Fault`."""
        if place.way is self.way and place.offset == self.position and content:
            piece[0] ^= 1


@dataclass(frozen=True)
class Tell(Fault):
    """Call somebody, in a thread of its own; the request waits until that returns."""

    before: Callable[[Seen], object] | None = None
    after: Callable[[Seen], object] | None = None

    async def at_request(self, seen: Seen) -> None:
        """See `Fault`."""
        if self.before is not None:
            await asyncio.to_thread(self.before, seen)

    async def at_answer(self, seen: Seen) -> None:
        """See `Fault`."""
        if self.after is not None:
            await asyncio.to_thread(self.after, seen)
