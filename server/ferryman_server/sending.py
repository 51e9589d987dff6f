"""Sending bytes that come piece by piece, of which it is known before how many there are.

One thread hop a piece; the next piece is read while the last one is being sent. A client that goes away ends the
reading at once and is no error. The first piece is read before the status is sent, so that a store that fails answers
503; one that fails later leaves the response short, which breaks the connection, as it must.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ferryman_protocol import problems
from ferryman_protocol.problems import Problem
from ferryman_server.media.piecing import Piece
from ferryman_server.storage.base import StoreError
from ferryman_server.threads import in_thread
from ferryman_server.wire_cycle import EXTENSION

T = TypeVar("T")

log = structlog.get_logger("ferryman.downloads")


class Download(Response):
    """Sends `size` bytes, which `pieces` gives when it is called, in a thread, as everything it does. It may raise
    StoreError. `upload_id` is for the log."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        pieces: Callable[[], Iterator[Piece]],
        size: int,
        *,
        upload_id: str,
    ) -> None:
        super().__init__(status_code=status, headers={**headers, "Content-Length": str(size)})
        self._upload_id = upload_id
        self._size = size
        self._pieces = _Pieces(pieces)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; raises nothing because of the client or the store."""
        try:
            with suppress(OSError):  # ASGI: how `send` says that the client has left
                await self._answer(scope, receive, send)
        finally:
            await in_thread(self._pieces.close)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            first = await in_thread(self._pieces.next)
        except StoreError as failure:
            log.warning("a download could not begin", upload_id=self._upload_id, error=str(failure))
            await unavailable()(scope, receive, send)
            return
        try:
            # not every server's `send` tells that a client has left, `receive` does
            await unless_gone(self._send_all(first, send), receive)
        except StoreError as failure:
            log.warning("a download broke off", upload_id=self._upload_id, error=str(failure))
            wire = scope.get("extensions", {}).get(EXTENSION)
            if wire is not None:  # else the server takes it for our mistake, and says so in the log
                wire.break_off()

    async def _send_all(self, piece: Piece | None, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = self._size
        while piece is not None and left > 0:
            left -= len(piece)
            # Servers keep what they could not send yet, so memory that may be written again is copied, and that
            # before the next piece is asked for.
            body = piece if isinstance(piece, bytes) or piece.readonly else bytes(piece)
            ahead = in_thread(self._pieces.next) if left > 0 else None
            try:
                await send({"type": "http.response.body", "body": body, "more_body": left > 0})
                piece = await ahead if ahead is not None else None
            finally:
                if ahead is not None:
                    ahead.cancel()
        if left:
            raise StoreError(f"the store handed out {self._size - left} bytes instead of {self._size}")


class _Pieces:
    """The pieces, read and closed in worker threads: closing waits for a read that is under way."""

    def __init__(self, begin: Callable[[], Iterator[Piece]]) -> None:
        self._begin = begin
        self._iterator: Iterator[Piece] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def next(self) -> Piece | None:
        """The next piece; None: there is none. Raises StoreError."""
        with self._lock:
            if self._closed:
                return None
            if self._iterator is None:
                self._iterator = self._begin()
            return next(self._iterator, None)

    def close(self) -> None:
        """Free what the iterator holds; afterwards there are no more pieces."""
        with self._lock:
            self._closed = True
            close: Callable[[], None] | None = getattr(self._iterator, "close", None)  # generators have one
            if close is not None:
                close()


async def unless_gone(work: Coroutine[Any, Any, T], receive: Receive) -> T | None:
    """Work for a client: what has come of it, or None if the client left before, by which the work was cancelled. What
    it raises is raised."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    """Return when the client has left; what it sends meanwhile is of no interest."""
    while (await receive())["type"] != "http.disconnect":
        pass


def unavailable() -> Response:
    """What is answered when the store cannot be read."""
    problem = Problem(kind=problems.STORAGE_UNAVAILABLE, detail="the server cannot read the file's bytes at the moment")
    return problem_response(problem, {"Retry-After": "5"})


def problem_response(problem: Problem, headers: Mapping[str, str]) -> Response:
    """A refusal as a response, with these fields."""
    body = json.dumps(problems.document(problem)).encode()
    return Response(body, problem.kind.status, headers, media_type="application/problem+json")
