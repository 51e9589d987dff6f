"""Bodies over plain ASGI: the same contract on any server, and under httpx's client for applications."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Message

from ferryman_server.body import PIECE, End
from ferryman_server.receive_body import ReceiveBody, open_body
from ferryman_server.wire_cycle import EXTENSION, Wire
from tests.support.pourer import Pourer, Recorder


def _scope(*headers: tuple[bytes, bytes], version: str = "1.1") -> dict[str, Any]:
    return {"type": "http", "http_version": version, "headers": list(headers)}


class Script:
    """A `receive` that gives these messages one by one, and then waits for ever, as a silent client does."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.asked = 0

    async def __call__(self) -> Message:
        """The next message."""
        self.asked += 1
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)


def _part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def _recorder() -> Recorder:
    go = threading.Event()
    go.set()
    return Recorder(go)


async def test_a_body_is_poured_to_its_end() -> None:
    """Parts of any size, empty ones too; nothing is asked for behind the last one."""
    receive = Script(_part(b"abc"), _part(b""), _part(b"d" * (PIECE + 5)), _part(b"", more=False))
    body, sink = ReceiveBody(_scope((b"content-length", b"1048584")), receive), _recorder()
    assert await body.pour(sink) is End.COMPLETE
    assert sink.data == b"abc" + b"d" * (PIECE + 5)
    assert max(map(len, sink.pieces)) == PIECE
    assert (body.length, body.received, body.trailers, receive.asked) == (1048584, 1048584, [], 4)


async def test_a_disconnect_comes_behind_the_bytes_before_it() -> None:
    """What was received is handed over first."""
    sink = _recorder()
    body = ReceiveBody(_scope(), Script(_part(b"abc"), _part(b"def"), {"type": "http.disconnect"}))
    assert await body.pour(sink) is End.DISCONNECTED
    assert sink.data == b"abcdef"


async def test_a_silent_client_stalls() -> None:
    """The idle time is this body's own; the pending `receive` is cancelled, and no task is left."""
    sink = _recorder()
    body = ReceiveBody(_scope(), Script(_part(b"abc")), idle_timeout=0.05)
    assert await body.pour(sink) is End.STALLED
    assert sink.data == b"abc"
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_stop_ends_a_waiting_body() -> None:
    """From another task; and a body that was stopped before it was poured asks for nothing."""
    body = ReceiveBody(_scope(), Script(_part(b"abc")))
    asyncio.get_running_loop().call_later(0.02, body.stop, End.SUPERSEDED)
    assert await body.pour(_recorder()) is End.SUPERSEDED
    receive = Script(_part(b"abc"))
    body = ReceiveBody(_scope(), receive)
    body.stop(End.SHUTDOWN)
    assert await body.pour(_recorder()) is End.SHUTDOWN
    assert receive.asked == 0


async def test_receiving_goes_on_while_the_sink_writes_and_is_bounded() -> None:
    """With a sink that is stuck `receive` is called until two pieces are there, and no more."""
    receive, sink = Script(*(_part(bytes(PIECE // 4)) for _ in range(40)), _part(b"", more=False)), _recorder()
    sink.go.clear()
    body = ReceiveBody(_scope(), receive)
    task = asyncio.create_task(body.pour(sink))
    await asyncio.sleep(0.05)
    assert 5 <= receive.asked <= 9
    sink.go.set()
    assert await task is End.COMPLETE
    assert len(sink.data) == 10 * PIECE


async def test_what_receive_raises_comes_out() -> None:
    """A middleware may refuse a body in the middle; what came before is handed over."""

    async def receive() -> Message:
        raise PermissionError("too fast")

    with pytest.raises(PermissionError, match="too fast"):
        await ReceiveBody(_scope(), receive).pour(_recorder())


async def test_cancelling_leaves_nothing_behind() -> None:
    """Neither the pouring nor the reading task goes on."""
    task = asyncio.create_task(ReceiveBody(_scope(), Script(_part(b"abc"))).pour(_recorder()))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("scope", "length"),
    [
        (_scope(), 0),
        (_scope((b"content-length", b" 12 ")), 12),
        (_scope((b"transfer-encoding", b"chunked")), None),
        (_scope(version="2"), None),
        (_scope((b"content-length", b"+5"), version="2"), None),
    ],
)
async def test_the_length_is_the_stated_one(scope: dict[str, Any], length: int | None) -> None:
    """HTTP/1 without any framing has no body; what cannot be known is None."""
    assert ReceiveBody(scope, Script()).length == length


async def test_the_wires_body_is_taken_where_there_is_one() -> None:
    """`open_body` prefers it, and makes its own otherwise."""
    mine = ReceiveBody(_scope(), Script())
    wire = Wire(mine, lambda status, headers: False, lambda: None, lambda: None)
    scope = {**_scope(), "extensions": {EXTENSION: wire}}
    assert open_body(scope, Script()) is mine
    assert isinstance(open_body(_scope(), Script()), ReceiveBody)


async def test_it_works_under_httpx() -> None:
    """Whole bodies and generated ones."""

    async def parts() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"%d" % number

    app = Pourer()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test.invalid") as client:
        assert (await client.patch("/", content=parts())).json() == {"end": "complete", "received": 5}
        assert (await client.post("/", content=b"abc")).json() == {"end": "complete", "received": 3}
    assert (app.poured().data, app.poured().data) == (b"01234", b"abc")
