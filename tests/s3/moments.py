"""The moments of a request on its way to S3 and back, at which a fault may act.

Its head is here and nothing has gone upstream; its body flows up; upstream has answered and the client knows nothing
of it; the answer's body flows down. A fault keeps no account of single requests, so one may act on many at a time.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tests.s3.log import Seen

EVERYTHING: Final = sys.maxsize


class Way(Enum):
    """Which body."""

    UP = "the request's"
    DOWN = "the answer's"


@dataclass(frozen=True, slots=True)
class Place:
    """How far a body has come."""

    way: Way
    offset: int  # bytes of content that were passed on
    over: bool


class Cut(Exception):
    """Raised by a fault: both connections end here."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("RST" if reset else "FIN")
        self.reset = reset


class Instead(Exception):
    """Raised by a fault before the client knows anything: it gets this answer."""

    def __init__(self, status: int, answer: Callable[[Seen, bool], bytes], *, read_body: bool = True) -> None:
        """`answer` makes it, for a request, told whether the connection closes behind it."""
        super().__init__(status)
        self.status = status
        self.answer = answer
        self.read_body = read_body


class Fault:
    """Does no harm: each fault overrides the moments that it is about."""

    async def at_request(self, seen: Seen) -> None:
        """The head is here, nothing has gone upstream."""

    async def at_answer(self, seen: Seen) -> None:
        """Upstream has answered, the client knows nothing. All of the answer is here, unless it is a long one."""

    def room(self, place: Place, seen: Seen) -> int:
        """At most so many bytes go on from here before the fault is asked again."""
        return EVERYTHING

    async def at(self, place: Place, seen: Seen) -> None:
        """A body has come so far: what is before has gone on. Asked several times where a chunk begins."""

    async def touch(self, piece: memoryview, content: int, place: Place, seen: Seen) -> None:
        """This piece goes on next. So many bytes of it are content, the others are the frame of a chunked body."""
