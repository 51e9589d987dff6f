"""One connection of a client, and the one upstream that belongs to it: requests go over both, one after the other."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.s3.exchange import Exchange
from tests.s3.framing import Head
from tests.s3.moments import Cut, Instead
from tests.s3.stream import Gone, Stream


class Connection:
    """Carries requests until a side closes, or a fault ends it."""

    def __init__(
        self,
        client: Stream,
        connect: Callable[[], Awaitable[Stream]],
        enter: Callable[[Stream, Head], Exchange],
    ) -> None:
        """`connect` reaches upstream; `enter` makes the exchange of a request whose head is here."""
        self._client = client
        self._upstream: Stream | None = None
        self._connect = connect
        self._enter = enter

    async def run(self) -> None:
        """Carry requests; cancelled, it resets both sides."""
        try:
            while await self._something_comes() and (head := await self._client.head()):
                exchange = self._enter(self._client, head)
                await self._exchange(exchange)
                if not exchange.lasts:
                    await self._end(exchange)
                    return
        except Cut as cut:
            await self._cut(cut)
        except (Gone, OSError):  # OSError: upstream takes no connection
            self._reset()
        except asyncio.CancelledError:
            self._reset()
            raise
        finally:
            self._leave_upstream()
            self._client.close()

    async def _exchange(self, exchange: Exchange) -> None:
        try:
            await exchange.begin()
        except Instead as instead:
            await exchange.answer(instead)
            return
        if self._upstream is None:
            self._upstream = await self._connect()
        try:
            await exchange.pass_on(self._upstream)
        except Instead as instead:
            self._leave_upstream()  # its answer may be half read, and the request half sent
            await exchange.answer(instead)

    async def _something_comes(self) -> bool:
        """Wait for a request; False when either side closes the idle connection."""
        if self._client.unread:
            return True
        if self._upstream is None:
            return await self._client.fill()
        sides = [asyncio.create_task(side.fill()) for side in (self._client, self._upstream)]
        try:
            await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            return not sides[1].done() and sides[0].result()
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)

    # -- ends ----------------------------------------------------------------------------------------------------------

    async def _end(self, exchange: Exchange) -> None:
        """Close behind an answer."""
        self._leave_upstream()
        if not exchange.read:
            await self._client.say_goodbye()

    async def _cut(self, cut: Cut) -> None:
        if cut.reset:
            self._reset()
        else:
            self._leave_upstream()
            await self._client.say_goodbye()

    def _reset(self) -> None:
        for side in (self._client, self._upstream):
            if side is not None:
                side.reset()

    def _leave_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None
