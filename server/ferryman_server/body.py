"""A request's body, as the rest of the server sees it: pour it into a sink, or stop it.

`pour` hands every byte that arrived to the sink, in order, in pieces of up to about 1 MiB, from worker threads and
never two at a time, while the next piece is being received. How the bytes come (uvicorn's parser, plain ASGI
`receive()`, the pump's thread on the socket itself) is the body's business alone. A small body can be had `whole`.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

PIECE: Final = 1 << 20  # bytes: what is gathered before a piece is handed to the sink


class End(StrEnum):
    """Why no more bytes come."""

    COMPLETE = "complete"  # the end of the body was seen; trailers are there
    DISCONNECTED = "disconnected"  # the client went away in the middle
    STALLED = "stalled"  # no byte for as long as the settings allow, or too few for much longer
    SUPERSEDED = "superseded"  # `stop` was called: a newer request took over
    SHUTDOWN = "shutdown"  # `stop` was called: the server is going down


class Sink(Protocol):
    """Takes the bytes."""

    @property
    def offset(self) -> int:
        """Where in the upload the next byte goes, if it is stored as it is: pieces end at round ones where they can."""

    def write(self, piece: memoryview) -> None:
        """Take one piece whole; called from a worker thread, one call at a time. May raise: pouring ends with it.

        The memory behind `piece` is reused after the call returns.
        """


@runtime_checkable
class Lends(Sink, Protocol):
    """Sinks that have memory for bytes that come fast, so that nobody has to copy them."""

    def lend(self) -> memoryview | None:
        """Where the next bytes are to be put; None: `write` takes them from anywhere. What was put at its beginning is
        then handed to `write`, once. Called from a worker thread, and may wait, or raise what `write` raises."""

    def take_back(self) -> None:
        """Nothing more is put into what was lent last. Idempotent."""


class Body(Protocol):
    """The body of one request."""

    @property
    def length(self) -> int | None:
        """Content-Length in bytes; None when chunked."""

    @property
    def received(self) -> int:
        """Bytes handed to the sink so far (before any decoding)."""

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """Trailer fields (lower-case names); there once `pour` returned COMPLETE."""

    async def whole(self, most: int) -> list[bytes] | None:
        """The whole body in the pieces it came in, if it is at most `most` bytes long and all of it is here, or comes
        without a pause. None otherwise: nothing was taken then, and `pour` brings what has arrived and what is still to
        come."""

    async def pour(
        self, sink: Sink, moved: Callable[[], None] | None = None, last: Callable[[], None] | None = None
    ) -> End:
        """Hand everything to the sink until the body ends. On DISCONNECTED and STALLED, bytes that had arrived are
        handed over first; after `stop`, what was not yet handed over is dropped. Whatever `sink.write` raises
        comes out here, with no write under way any more. `moved` is called on the loop from time to time when the sink
        has taken something. `last` may be called in the worker thread that has just handed over the last byte, to save
        a hop between threads; what it raises comes out too. To be called once."""

    async def flush(self) -> None:
        """Have the sink take what has arrived: small pieces of a slow body are gathered for a while. Does nothing when
        nobody pours."""

    def stop(self, end: End) -> None:
        """Stop reading within 5 ms and let `pour` return `end`; may be called from any task on the loop, and before
        `pour` (which then returns at once). Later calls change nothing."""
