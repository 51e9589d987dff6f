"""Small objects on the event loop: one PUT over a kept connection, without a thread.

A thread for each costs more than the request itself: every hand-over of the interpreter's lock, several a request, has
the event loop wait. So a whole small content is sent from the loop, once. Whatever does not go smoothly (no connection,
an answer other than 200, silence) is told, and done again in the ordinary way, which knows how to repeat it.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, cast

import httptools

from ferryman_server.storage.s3_client import CONNECT, SILENCE, S3Client

KEPT: Final = 32  # connections that are kept open
OK: Final = 200


class QuickPuts:
    """Puts objects into one bucket. Used on one event loop."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._idle: deque[_Connection] = deque()
        self._context = ssl.create_default_context() if client.secure else None

    async def put(self, key: str, chunks: Sequence[bytes], size: int, headers: Mapping[str, str]) -> bool:
        """Whether the object was stored by one request. False: nobody knows; do it in the ordinary way."""
        try:
            connection = await self._connection()
        except (OSError, TimeoutError):
            return False
        status = await connection.ask([self._client.head_of("PUT", key, headers, size), *chunks])
        if connection.reusable and len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            connection.close()
        return status == OK

    def close(self) -> None:
        """Close what nobody uses."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        host, port = self._client.address
        async with asyncio.timeout(CONNECT):
            _, made = await asyncio.get_running_loop().create_connection(_Connection, host, port, ssl=self._context)
        return made


class _Connection(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self) -> None:
        self.reusable = False
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int | None] | None = None
        self._loop = asyncio.get_running_loop()

    async def ask(self, request: Sequence[bytes]) -> int | None:
        """The status of the answer; None: there was none."""
        assert self._transport is not None
        self._answer = self._loop.create_future()
        silence = self._loop.call_later(SILENCE, self._give_up)
        self.reusable = False
        self._transport.writelines(request)
        try:
            return await self._answer
        finally:
            silence.cancel()

    def close(self) -> None:
        """Let go of it."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is none by its class
        self.reusable = True

    def data_received(self, data: bytes) -> None:
        """Something of an answer came."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._give_up()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        self.reusable = False
        self._tell(None)

    # httptools

    def on_message_complete(self) -> None:
        """The answer is whole."""
        status = self._parser.get_status_code()
        if status >= OK:  # not an interim one
            self.reusable = self._parser.should_keep_alive()
            self._tell(status)

    def _give_up(self) -> None:
        self._tell(None)
        with suppress(RuntimeError):
            self.close()

    def _tell(self, status: int | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)
