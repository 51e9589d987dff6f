"""Pictures of single frames: two at a time, kept for a while, and given up when nobody wants them."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ferryman_server.media.conversions import AT_ONCE, MOST_PIXELS, Conversion, Conversions
from ferryman_server.media.entries import Entry
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_rules import BadPicture
from ferryman_server.storage.base import StoreError
from tests.server.media.stored_entries import ID, Noting, stored
from tests.zips.build import Member

CONTENT = bytes(range(200)) * 50


def conversion(entry: Entry, make: Callable[[bytes], bytes], tag: str = '"tag"') -> Conversion:
    """What is made of an entry; pixels do not matter here."""
    return Conversion(ID, entry, Format.RGB888, 10, 10, tag, lambda data, *_: make(data))


class Studio:
    """Conversions that last until they are let go, and count themselves."""

    def __init__(self) -> None:
        self.store, (self.entry,) = stored([Member(b"a", CONTENT)])
        self.conversions = Conversions(self.store)
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.made = 0
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def make(self, content: bytes) -> bytes:
        """Takes its time."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self.begun.release()
        self.go.wait(20)
        with self._lock:
            self._now -= 1
            self.made += 1
        return content[:5]

    def ask(self, tag: str) -> "asyncio.Task[bytes]":
        """Somebody wants a picture with this tag."""
        return asyncio.create_task(self.conversions.picture(conversion(self.entry, self.make, tag)))

    async def until_begun(self) -> None:
        """One more is being made."""
        await asyncio.to_thread(self.begun.acquire, timeout=20)


async def test_what_is_made_is_made_of_the_content_and_kept() -> None:
    """The frame is unpacked for it; asked for again, nothing is read nor made."""
    store, (entry,) = stored([Member(b"a", CONTENT)])
    conversions, made = Conversions(store), list[bytes]()

    def make(content: bytes) -> bytes:
        made.append(content)
        return content[::-1]

    for _ in range(3):
        assert await conversions.picture(conversion(entry, make)) == CONTENT[::-1]
    assert made == [CONTENT]
    assert len(store.reads) == 1


async def test_the_same_tag_in_another_upload_is_another_picture() -> None:
    """Whoever forges a CRC-32 gets nobody else's picture, and puts none in its place."""
    store, (entry,) = stored([Member(b"a", CONTENT)])
    conversions = Conversions(store)
    await conversions.picture(replace(conversion(entry, lambda _: b"theirs"), upload_id=ID))
    other = replace(conversion(entry, lambda _: b"ours"), upload_id="b" * 26)
    with pytest.raises(StoreError):  # there is no such upload in this store; it was not answered from memory
        await conversions.picture(other)


async def test_two_are_made_at_once_and_no_more() -> None:
    """However many are asked for; all of them are made in the end."""
    studio = Studio()
    asked = [studio.ask(str(number)) for number in range(8)]
    for _ in range(AT_ONCE):
        await studio.until_begun()
    studio.go.set()
    assert await asyncio.gather(*asked) == [CONTENT[:5]] * 8
    assert (studio.made, studio.most) == (8, AT_ONCE)


async def test_who_waits_gets_what_was_made_for_another() -> None:
    """A hundred who want the same picture at once cost no more than two conversions."""
    studio = Studio()
    asked = [studio.ask("same") for _ in range(100)]
    await studio.until_begun()
    studio.go.set()
    assert set(await asyncio.gather(*asked)) == {CONTENT[:5]}
    assert studio.made <= AT_ONCE


async def test_who_leaves_while_waiting_costs_nothing() -> None:
    """Their turn is given up before anything is read."""
    studio = Studio()
    asked = [studio.ask(str(number)) for number in range(5)]
    for _ in range(AT_ONCE):
        await studio.until_begun()
    for task in asked[AT_ONCE:]:
        task.cancel()
    studio.go.set()
    await asyncio.gather(*asked, return_exceptions=True)
    assert [task.cancelled() for task in asked] == [False] * AT_ONCE + [True] * 3
    assert studio.made == AT_ONCE


async def test_who_leaves_keeps_the_turn_until_the_thread_is_done() -> None:
    """A thread cannot be stopped in the middle of a picture; until it is over, no third one begins."""
    studio = Studio()
    asked = [studio.ask(str(number)) for number in range(4)]
    for _ in range(AT_ONCE):
        await studio.until_begun()
    for task in asked[:AT_ONCE]:
        task.cancel()
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in asked)
    studio.go.set()
    await asyncio.gather(*asked, return_exceptions=True)
    assert [task.cancelled() for task in asked] == [True, True, False, False]
    assert studio.most == AT_ONCE


async def test_a_frame_that_nobody_wants_any_more_is_not_read_on() -> None:
    """It is noticed between two pieces, and then nothing is made of it."""
    store, (entry,) = stored([Member(b"a", CONTENT, 0)], piece=100)
    go, begun, made = threading.Event(), threading.Event(), list[bytes]()
    read, handed = store.read, 0

    class Slow(Noting):
        def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
            nonlocal handed
            for piece in read(upload_id, start, stop, published=published):
                handed += len(piece)
                yield piece
                begun.set()
                go.wait(20)

    def make(content: bytes) -> bytes:
        made.append(content)
        return content

    task = asyncio.create_task(Conversions(Slow()).picture(conversion(entry, make)))
    await asyncio.to_thread(begun.wait, 20)
    task.cancel()
    await asyncio.sleep(0)  # it learns of it
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made == []
    assert handed < len(CONTENT)


@pytest.mark.parametrize(
    "failure", [BadPicture("it is damaged"), StoreError("the disk is gone"), RuntimeError("a bug")]
)
async def test_what_goes_wrong_is_told_and_not_kept(failure: Exception) -> None:
    """The next one who asks has it tried again."""
    store, (entry,) = stored([Member(b"a", CONTENT)])
    conversions, outcomes = Conversions(store), [failure]

    def make(content: bytes) -> bytes:
        if outcomes:
            raise outcomes.pop()
        return b"well"

    with pytest.raises(type(failure), match=str(failure)):
        await conversions.picture(conversion(entry, make))
    assert await conversions.picture(conversion(entry, make)) == b"well"


@pytest.mark.parametrize(("width", "size"), [(MOST_PIXELS, 100), (10, 4 * MOST_PIXELS + 4)])
async def test_frames_that_are_too_large_are_not_touched(width: int, size: int) -> None:
    """By their pixels or by their bytes: they would fill the memory."""
    store, (entry,) = stored([Member(b"a", CONTENT)])
    wanted = replace(conversion(entry, lambda _: b""), width=width, entry=replace(entry, size=size))
    with pytest.raises(BadPicture, match="are too many to make a picture of here"):
        await Conversions(store).picture(wanted)
    assert store.reads == []
