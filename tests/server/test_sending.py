"""Sending bytes that come piece by piece, and giving up for clients that leave."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.types import Message

from ferryman_server.media.piecing import Piece
from ferryman_server.sending import Download, unless_gone
from ferryman_server.storage.base import StoreError


async def stays() -> Message:
    """A client that says nothing."""
    await asyncio.Event().wait()
    raise AssertionError("never reached")


async def leaves() -> Message:
    """A client that has left."""
    return {"type": "http.disconnect"}


async def sent(pieces: Iterator[Piece], size: int) -> list[Message]:
    """What a server is given to send."""
    messages = list[Message]()

    async def send(message: Message) -> None:
        messages.append(message)

    download = Download(206, {"X-Told": "yes"}, lambda: pieces, size, upload_id="a" * 26)
    await download({"type": "http", "method": "GET"}, stays, send)
    return messages


async def test_any_pieces_of_any_kind() -> None:
    """Bytes and views of them; the last one says that it is the last."""
    start, *bodies = await sent(iter([b"ab", memoryview(b"cd"), memoryview(bytearray(b"ef"))]), 6)
    assert (start["status"], dict(start["headers"])) == (206, {b"x-told": b"yes", b"content-length": b"6"})
    assert [bytes(body["body"]) for body in bodies] == [b"ab", b"cd", b"ef"]
    assert [body["more_body"] for body in bodies] == [True, True, False]


@pytest.mark.parametrize("pieces", [[], [b"ab"]])
async def test_too_few_bytes_are_never_a_whole_answer(pieces: list[bytes]) -> None:
    """The answer breaks off."""
    _, *bodies = await sent(iter(pieces), 6)
    assert all(body["more_body"] for body in bodies)


async def test_what_fails_at_once_is_told() -> None:
    """503 instead of the answer."""

    def failing() -> Iterator[Piece]:
        raise StoreError("the disk is gone")
        yield b""

    start, body = await sent(failing(), 6)
    assert start["status"] == 503
    assert b"storage-unavailable" in body["body"]


async def test_work_for_somebody_who_stays() -> None:
    """Its result, or what it raises."""

    async def work(*, fails: bool) -> str:
        await asyncio.sleep(0)
        if fails:
            raise StoreError("the disk is gone")
        return "done"

    assert await unless_gone(work(fails=False), stays) == "done"
    with pytest.raises(StoreError):
        await unless_gone(work(fails=True), stays)


async def test_work_for_somebody_who_has_left_is_cancelled() -> None:
    """And waited for: what it holds is free again."""
    ended = []

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append(True)
        return "done"

    assert await unless_gone(work(), leaves) is None
    assert ended == [True]
