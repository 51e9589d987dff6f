"""More connections than descriptors: the newcomers are told to come again, and the others notice nothing.

A process that runs out of descriptors cannot open the files of the uploads it has taken, nor sync their folders. So
connections are refused while some descriptors are still left. The first ones too many have their request answered 503
with Retry-After, on a connection that ends with it; when those that wait to be told so become too many themselves,
further ones are closed without a word.
"""

import asyncio
import random
from typing import TYPE_CHECKING, ClassVar, Final, cast

import structlog
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.problems import Problem
from ferryman_server.descriptors import Room
from ferryman_server.wire import Protocol

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

log = structlog.get_logger("ferryman.crowding")

QUIET: Final = 10.0  # seconds between two lines of the log: a crowd must not fill the disk
SOONEST: Final = 2  # seconds after which a refused client may come again …
LATEST: Final = 8  # … and at most; spread, or all would come at the same moment


class Crowd:
    """What is counted over all connections of a server."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._refused = 0
        self._told_at = float("-inf")

    def refuse(self, now: float) -> None:
        """One more connection is refused at `now` (seconds, of any clock that does not jump); say so now and then."""
        self._refused += 1
        if now - self._told_at >= QUIET:
            log.warning(
                "too many connections for the limit of open files; `ferryman doctor` says how to raise it",
                refused=self._refused,
            )
            self._told_at, self._refused = now, 0


class CrowdedProtocol(Protocol):
    """A connection that is refused if there were too many when it came."""

    crowd: ClassVar[Crowd]
    _late = False  # it came when there was no room

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        own = transport.get_extra_info("socket")
        number, room = -1 if own is None else own.fileno(), self.crowd.room
        if number >= room.polite or len(self.connections) > room.connections:
            self._late = True
            self.crowd.refuse(self.loop.time())
            if number >= room.strict:
                transport.abort()

    def _choose_app(self) -> "ASGI3Application":
        return cast("ASGI3Application", come_again) if self._late else super()._choose_app()


def within(base: type[Protocol], room: Room) -> type[Protocol]:
    """The protocol class `base` for a server that has this much room."""
    return type("Protocol", (CrowdedProtocol, base), {"crowd": Crowd(room)})


async def come_again(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request 503 (RFC 9110 §15.6.4), and end the connection."""
    detail = "more connections are open than the server can serve at once"
    problem = Problem(kind=problems.CROWDED, detail=detail)
    later = str(random.randint(SOONEST, LATEST))
    response = JSONResponse(
        problems.document(problem),
        problem.kind.status,
        {"Retry-After": later, "Connection": "close"},
        media_type="application/problem+json",
    )
    await response(scope, receive, send)
