"""A request's body, as the rest of the server sees it: pour it into a sink, or stop it.

`pour` hands every byte that arrived to the sink, in order, in pieces of up to about 1 MiB, from worker threads and
never two at a time, while the next piece is being received. How the bytes come (uvicorn's parser, plain ASGI
`receive()`, later the pump's own thread on the socket) is the body's business alone.
"""

from enum import StrEnum
from typing import Final, Protocol

PIECE: Final = 1 << 20  # bytes: what is gathered before a piece is handed to the sink


class End(StrEnum):
    """Why no more bytes come."""

    COMPLETE = "complete"  # the end of the body was seen; trailers are there
    DISCONNECTED = "disconnected"  # the client went away in the middle
    STALLED = "stalled"  # no byte for as long as the settings allow
    SUPERSEDED = "superseded"  # `stop` was called: a newer request took over
    SHUTDOWN = "shutdown"  # `stop` was called: the server is going down


class Sink(Protocol):
    """Takes the bytes."""

    def write(self, piece: memoryview) -> None:
        """Take one piece whole; called from a worker thread, one call at a time. May raise: pouring ends with it.

        The memory behind `piece` is reused after the call returns.
        """


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

    async def pour(self, sink: Sink) -> End:
        """Hand everything to the sink until the body ends. On DISCONNECTED and STALLED, bytes that had arrived are
        handed over first; after `stop`, what was not yet handed over is dropped. Whatever `sink.write` raises
        comes out here, with no write under way any more. To be called once."""

    def stop(self, end: End) -> None:
        """Stop reading within 5 ms and let `pour` return `end`; may be called from any task on the loop, and before
        `pour` (which then returns at once). Later calls change nothing."""
