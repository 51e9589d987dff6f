"""One request and its answer, passed on in both directions at once, with what the faults make of them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from tests.s3.framing import Body, Head, UntilClosed, body_of_answer, body_of_request, is_whole
from tests.s3.log import Seen, now
from tests.s3.moments import Fault, Instead, Place, Way
from tests.s3.stream import LINGER, Gone, Stream

_PIECE: Final = 1 << 30  # bytes: more than is ever unread


class Exchange:
    """Takes one request from its head, which is read, to the end of its answer."""

    def __init__(self, client: Stream, head: Head, seen: Seen, faults: Sequence[Fault]) -> None:
        self._client = client
        self._head = head
        self._body = body_of_request(head)
        self._seen = seen
        self._faults = faults
        self._closes = head.closes

    @property
    def lasts(self) -> bool:
        """Whether the connections can carry another request behind this one."""
        return self._body.over and not self._closes

    @property
    def read(self) -> bool:
        """Whether the client has nothing more to say."""
        return self._body.over

    async def begin(self) -> None:
        """What happens before upstream is asked."""
        for fault in self._faults:
            await fault.at_request(self._seen)

    async def pass_on(self, upstream: Stream) -> None:
        """Ask upstream, and tell the client what it answers."""
        await upstream.send(self._head.raw)
        try:
            async with asyncio.TaskGroup() as group:
                pouring = group.create_task(self._pour(upstream))
                await self._relay(upstream)
                # an answer that did not wait for the body; some servers read the rest all the same
                await asyncio.wait([pouring], timeout=0 if self._closes else LINGER)
                pouring.cancel()
        except BaseExceptionGroup as failures:
            raise _telling(failures.exceptions) from None

    async def answer(self, instead: Instead) -> None:
        """Give the client an answer of ours; what it has still to say is read first, or never."""
        if instead.read_body and "expect" not in self._head.headers:
            await self._swallow()
        answer = instead.answer(self._seen, not self.lasts)
        self._seen.told, self._seen.ended = instead.status, now()
        await self._client.send(answer)
        if not instead.read_body and not self.read:
            await asyncio.sleep(LINGER)  # as S3 servers do, or the RST would overtake the answer

    async def _swallow(self) -> None:
        while not self._body.over:
            if not self._client.unread and not await self._client.fill():
                raise Gone(self._client)
            used, _ = self._body.advance(self._client.unread)
            self._client.take(used)

    # -- up ------------------------------------------------------------------------------------------------------------

    async def _pour(self, upstream: Stream) -> None:
        try:
            await self._carry(Way.UP, self._client, upstream, self._body, self._count_up)
        except Gone as gone:
            if gone.stream is self._client:
                raise
            # upstream has closed: an answer may have come before, so that it is for the other direction to say

    def _count_up(self, content: int) -> None:
        self._seen.sent += content

    # -- down ----------------------------------------------------------------------------------------------------------

    async def _relay(self, upstream: Stream) -> None:
        head = await self._final_head(upstream)
        self._seen.status = head.status
        body = body_of_answer(head, self._seen.method)
        if self._faults:
            await _settle(upstream, body)
        for fault in self._faults:
            await fault.at_answer(self._seen)
        self._closes = self._closes or head.closes or isinstance(body, UntilClosed)

        def count(content: int) -> None:  # before it is sent: who has the answer finds all of it in the log
            self._seen.answered += content
            if body.over:
                self._seen.ended = now()

        self._seen.told = head.status
        count(0)
        await self._client.send(head.raw)
        await self._carry(Way.DOWN, upstream, self._client, body, count)

    async def _final_head(self, upstream: Stream) -> Head:
        """The head of the answer, once the interim ones are passed on."""
        while (head := await upstream.head()) is not None:
            if head.status >= 200:
                return head
            await self._client.send(head.raw)
        raise Gone(upstream)

    # -- either --------------------------------------------------------------------------------------------------------

    async def _carry(self, way: Way, source: Stream, sink: Stream, body: Body, count: Callable[[int], None]) -> None:
        offset = 0
        while True:
            place = Place(way, offset, body.over)
            for fault in self._faults:
                await fault.at(place, self._seen)
            if body.over:
                return
            if not source.unread and not await source.fill():
                if not isinstance(body, UntilClosed):
                    raise Gone(source)
                body.over = True
                count(0)
                continue
            room = min((fault.room(place, self._seen) for fault in self._faults), default=_PIECE)
            piece = source.unread[:room]
            used, content = body.advance(piece)
            for fault in self._faults:
                await fault.touch(piece[:used], content, place, self._seen)
            count(content)
            await sink.send(piece[:used])
            source.take(used)
            offset += content
            await asyncio.sleep(0)  # a body that never has to wait would keep everybody else waiting


async def _settle(upstream: Stream, body: Body) -> None:
    """Wait until the whole answer is here, or as much of it as there is room for."""
    while not is_whole(body, upstream.unread) and not upstream.full:
        if not await upstream.fill():
            return


def _telling(failures: Sequence[BaseException]) -> BaseException:
    """The one that says what happened: a fault, rather than a side that noticed."""
    return next((failure for failure in failures if not isinstance(failure, Gone)), failures[0])
