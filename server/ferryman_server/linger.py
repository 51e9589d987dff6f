"""Lingering: ending a connection while its client is still sending, so that the client gets to read the answer.

Closing a socket that has unread bytes makes the kernel send a reset, and a reset can destroy the answer before the
client has read it (RFC 9112 §9.6). So our side is closed first, half; what still comes is read and thrown away until
the client closes, a time is over, or it was too much.
"""

import asyncio
import contextlib


class Linger:
    """The end of one connection; its owner hands on how much came, and calls `forget` when the connection is gone."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, *, seconds: float, most: int
    ) -> None:
        self._transport = transport
        self._left = most  # bytes that may still come
        self._timer = loop.call_later(seconds, transport.abort)
        if transport.can_write_eof():  # TLS cannot close half a connection: `Connection: close` has to do there
            with contextlib.suppress(OSError):  # the client is gone already; reading will tell
                transport.write_eof()

    def discard(self, size: int) -> None:
        """So many bytes came and were thrown away."""
        self._left -= size
        if self._left < 0:
            self.end()

    def end(self) -> None:
        """Close now."""
        self._timer.cancel()
        self._transport.abort()

    def forget(self) -> None:
        """The connection is gone."""
        self._timer.cancel()
