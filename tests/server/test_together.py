"""Uploads of middling size that come whole: stored in batches, complete with one commit, and what goes wrong beside."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol import problems
from ferryman_protocol.model import Phase
from ferryman_server import together
from ferryman_server.digests import crc64
from ferryman_server.refusals import Declined
from ferryman_server.storage.base import StoreError, read_all
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.together import Together
from tests.support.core import Core, Disk, Feed, ids, running, store_of
from tests.support.uploading import content

WHOLE = content(300_000)
LENGTH = len(WHOLE)


@pytest.fixture(params=["memory", "local"])
async def core(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Core]:
    """A running core on each kind of store."""
    store = store_of(request.param, tmp_path)
    async with running(Disk(tmp_path, store)) as made:
        yield made


class Watched:
    """A store whose batches a test sees, and may hold up or refuse."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.batches: list[list[str]] = []
        self.refused: set[str] = set()
        self.bug: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def settle(self, upload_id: str, length: int) -> None:
        """Makes it a store that Settles."""

    def take(self, contents: Sequence[tuple[str, Sequence[bytes]]]) -> list[StoreError | None]:
        """Note who comes together."""
        self.batches.append([upload_id for upload_id, _ in contents])
        if self.bug is not None:
            raise self.bug
        return [StoreError("no") if upload_id in self.refused else None for upload_id, _ in contents]


def watched() -> tuple[Watched, Together]:
    """A store, and what gathers for it."""
    store = Watched()
    return store, Together(store)


async def test_what_comes_at_once_is_stored_at_once() -> None:
    """One batch for all that were asked for in one round of the event loop."""
    store, gathering = watched()
    outcomes = await asyncio.gather(*(gathering.store(f"{number}", [b"abc", b"d"]) for number in range(5)))
    assert store.batches == [["0", "1", "2", "3", "4"]]
    assert outcomes == [crc64([b"abcd"])] * 5


async def test_one_that_fails_fails_alone() -> None:
    """The others of its batch are stored."""
    store, gathering = watched()
    store.refused = {"bad"}
    outcomes = await asyncio.gather(
        *(gathering.store(name, [b"x"]) for name in ("good", "bad", "best")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [int, StoreError, int]


async def test_a_bug_is_told_to_all_of_a_batch() -> None:
    """Nobody waits for ever."""
    store, gathering = watched()
    store.bug = ZeroDivisionError("a mistake")
    outcomes = await asyncio.gather(*(gathering.store(name, [b"x"]) for name in "ab"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError] * 2
    store.bug = None
    assert await gathering.store("c", [b"x"])


async def test_one_that_is_cancelled_does_not_harm_the_others() -> None:
    """It was handed over already."""
    store, gathering = watched()
    leaving, staying = (asyncio.create_task(gathering.store(name, [b"x"])) for name in ("leaving", "staying"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == crc64([b"x"])
    assert leaving.cancelled()
    assert store.batches == [["leaving", "staying"]]


def test_what_is_in_memory_is_bounded() -> None:
    """By the size of one and by that of all."""
    _, gathering = watched()
    assert gathering.takes(together.MOST)
    assert not gathering.takes(together.MOST + 1)
    for _ in range(together.ROOM // together.MOST):
        gathering.reserve(together.MOST)
    assert not gathering.takes(1)
    gathering.release(together.MOST)
    assert gathering.takes(together.MOST)


def test_a_store_that_only_publishes_is_not_asked() -> None:
    """Its uploads are complete when they are published, not before."""

    class Publishing:
        """A store without more."""

    assert not Together(Publishing()).takes(1)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["creation", "append"])
async def test_such_an_upload_is_complete_with_one_commit(core: Core, how: str) -> None:
    """It can be read at once, is told of once, and lies in its place in the end."""
    if how == "creation":
        upload_id = await core.created(LENGTH, feed=Feed(WHOLE))
    else:
        upload_id = await core.created(LENGTH)
        await core.append(upload_id, 0, Feed(WHOLE[:1000], WHOLE[1000:]))
    record = await core.record(upload_id)
    assert (record.upload.phase, record.upload.offset, record.crc64) == (Phase.COMPLETE, LENGTH, crc64([WHOLE]))
    assert ids(core.events, "complete") == [upload_id]
    store = core.disk.store
    assert read_all(store, upload_id, LENGTH) == WHOLE
    await core.house.mover.move()
    assert [(stray.upload_id, stray.published) for stray in store.strays()] == [(upload_id, True)]
    assert read_all(store, upload_id, LENGTH) == WHOLE


async def test_room_is_given_back_however_it_ends(core: Core) -> None:
    """After an upload, a body that breaks off, and one that is refused."""
    await core.created(LENGTH, feed=Feed(WHOLE))
    broken = Feed(WHOLE[:100_000], length=LENGTH, whole=False)
    broken.cut()
    with pytest.raises(Declined):
        await core.created(LENGTH, feed=broken)
    assert core.house.together._reserved == 0


async def test_a_body_without_room_goes_the_ordinary_way(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as complete in the end."""
    monkeypatch.setattr(together, "ROOM", LENGTH - 1)
    upload_id = await core.created(LENGTH)
    await core.append(upload_id, 0, Feed(WHOLE))
    assert await core.phase(upload_id) is Phase.COMPLETE
    assert read_all(core.disk.store, upload_id, LENGTH) == WHOLE


async def test_a_failed_sync_leaves_the_upload_empty_and_forbids_adoption(tmp_path: Path) -> None:
    """The client sends it again; a start after a kill does not take what the kernel may have dropped for stored."""
    store = MemoryStore()
    async with running(Disk(tmp_path, store)) as core:
        upload_id = await core.created(LENGTH)
        store.syncs_fail = True
        with pytest.raises(Declined) as declined:
            await core.append(upload_id, 0, Feed(WHOLE))
        assert declined.value.problem.kind is problems.STORAGE_UNAVAILABLE
        record = await core.record(upload_id)
        assert (record.upload.phase, record.upload.offset, record.adoptable) == (Phase.EMPTY, 0, False)
        store.syncs_fail = False
        await core.append(upload_id, 0, Feed(WHOLE))
        record = await core.record(upload_id)
        assert (record.upload.phase, record.adoptable) == (Phase.COMPLETE, True)
    assert read_all(store, upload_id, LENGTH) == WHOLE


async def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    """Nothing of it is kept, and it goes through when there is room."""
    store = MemoryStore(capacity=LENGTH - 1)
    async with running(Disk(tmp_path, store)) as core:
        upload_id = await core.created(LENGTH)
        with pytest.raises(Declined) as declined:
            await core.append(upload_id, 0, Feed(WHOLE))
        assert declined.value.problem.kind is problems.STORAGE_FULL
        store.capacity = LENGTH
        await core.append(upload_id, 0, Feed(WHOLE))
        assert await core.phase(upload_id) is Phase.COMPLETE
