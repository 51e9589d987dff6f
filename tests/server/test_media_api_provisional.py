"""Telling the frames so far: once for each number of entries, off the loop when it takes a while, together."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from ferryman_server import provisional_frames
from ferryman_server.media.entries import Entry
from ferryman_server.media.following import Following
from ferryman_server.media.frame_set import provisional
from ferryman_server.media.zip_index import Limits
from ferryman_server.provisional_frames import FEW, ProvisionalFrames
from tests.server.media_api_rig import archive


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In which threads it was looked for, each time."""
    found: list[int] = []

    def watched(entries: Sequence[Entry], metadata: bytes | None) -> list[int]:
        found.append(threading.get_ident())
        return provisional(entries, metadata)

    monkeypatch.setattr(provisional_frames, "provisional", watched)
    return found


def fed(data: bytes) -> Following:
    """A walk that has come so far."""
    following = Following(Limits())
    following.feed([memoryview(data)])
    return following


async def test_it_is_looked_for_once_for_each_number_of_entries(threads: list[int]) -> None:
    """However often it is asked for."""
    data = archive(20)
    half = len(data) // 2
    following, frames = fed(data[:half]), ProvisionalFrames()
    first = await frames.of(following)
    assert await frames.of(following) is first
    assert [entry.name for entry in first.frames] == [f"frames/{n}.rgb" for n in range(first.entries - 1)]
    following.feed([memoryview(data[half:])])
    later = await frames.of(following)
    assert (len(later.frames), later.entries) == (20, 21)
    assert await frames.of(following) is later
    assert len(threads) == 2


async def test_archives_are_told_apart(threads: list[int]) -> None:
    """Also two of the same number of entries."""
    frames = ProvisionalFrames()
    one, other = fed(archive(3)), fed(archive(3, first=7))
    assert (await frames.of(one)).frames[0].name == "frames/0.rgb"
    assert (await frames.of(other)).frames[0].name == "frames/7.rgb"
    assert len(threads) == 2


@pytest.mark.parametrize(("count", "on_the_loop"), [(FEW - 1, True), (FEW, False)])
async def test_only_few_are_looked_through_on_the_loop(threads: list[int], count: int, on_the_loop: bool) -> None:
    """More would keep everybody else waiting. With its metadata.json an archive has one entry more."""
    assert len((await ProvisionalFrames().of(fed(archive(count)))).frames) == count
    assert (threads == [threading.get_ident()]) is on_the_loop


async def test_two_who_ask_at_the_same_time_hear_the_same(threads: list[int]) -> None:
    """The later one does not wait for the entries that have come meanwhile, and loses nothing by the earlier one's
    leaving."""
    data = archive(2 * FEW)
    half = len(data) // 2
    following, frames = fed(data[:half]), ProvisionalFrames()
    earlier = asyncio.create_task(frames.of(following))
    await asyncio.sleep(0)
    following.feed([memoryview(data[half:])])
    later = asyncio.create_task(frames.of(following))
    await asyncio.sleep(0)
    earlier.cancel()
    told = await later
    assert told.entries < len(following.entries)
    assert len(told.frames) == told.entries - 1
    assert len(threads) == 1
    assert (await frames.of(following)).entries == len(following.entries)
