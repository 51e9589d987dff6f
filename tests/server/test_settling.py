"""Small contents become files: together, durably, and through every way of ending in between."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from ferryman_server import settling
from ferryman_server.backends import Backends
from ferryman_server.lifecycle import running
from ferryman_server.settings import Settings
from ferryman_server.state.base import StateError
from ferryman_server.storage.base import Store, StoreError, read_all
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.storage.testing_rig import Rig
from tests.server.storage.local_rig import LocalRig
from tests.server.storage.test_memory import MemoryRig
from tests.support.core import Core, Disk, Feed, until
from tests.support.core import running as core_running
from tests.support.uploading import content


@pytest.fixture(params=["memory", "local"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A disk for the store that keeps only what was synced; the database lies elsewhere."""
    made: Rig = MemoryRig() if request.param == "memory" else LocalRig()
    yield made
    made.close()


async def small_uploads(core: Core, count: int) -> dict[str, bytes]:
    """So many uploads that are complete and have no file yet."""
    bodies = [content(100 + number, number) for number in range(count)]
    return {await core.created(len(body), feed=Feed(body)): body for body in bodies}


def published(store: Store) -> dict[str, int]:
    """The sizes of published files, by id."""
    return {stray.upload_id: stray.size for stray in store.strays() if stray.published}


def assert_readable(store: Store, uploads: dict[str, bytes]) -> None:
    """Every byte of them."""
    for upload_id, body in uploads.items():
        assert read_all(store, upload_id, len(body)) == body


def assert_written(store: Store, uploads: dict[str, bytes]) -> None:
    """They have their files, and those are right."""
    assert published(store) == {upload_id: len(body) for upload_id, body in uploads.items()}
    assert_readable(store, uploads)


# in the background


@pytest.mark.parametrize("count", [1, 20])
async def test_contents_become_files_soon_after_they_come(rig: Rig, tmp_path: Path, count: int) -> None:
    """Without anybody asking; the database forgets them, and memory too."""
    async with core_running(Disk(tmp_path, rig.store)) as core:
        run = asyncio.create_task(core.house.settler.run())
        uploads = await small_uploads(core, count)
        await until(lambda: len(core.house.settler) == 0)
        assert_written(rig.store, uploads)
        assert await core.house.state.redo(1) == []
        run.cancel()
        await asyncio.wait([run])
    rig.power_cut()
    assert_written(rig.store, uploads)


async def test_contents_gather_while_more_come(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst is written out once, when it is over."""
    monkeypatch.setattr(settling, "QUIET", 1.0)
    rounds: list[int] = []
    write_out = rig.store.write_out  # type: ignore[attr-defined]

    def counted(ids: Sequence[str]) -> Any:
        rounds.append(len(ids))
        return write_out(ids)

    rig.store.write_out = counted  # type: ignore[attr-defined]
    async with core_running(Disk(tmp_path, rig.store)) as core:
        run = asyncio.create_task(core.house.settler.run())
        for _ in range(5):
            await small_uploads(core, 2)
            await asyncio.sleep(0.02)
        await until(lambda: len(core.house.settler) == 0)
        run.cancel()
        await asyncio.wait([run])
    assert rounds == [10]


@pytest.mark.parametrize("bound", ["GATHER", "MOST", "MOST_BYTES"])
async def test_a_burst_that_does_not_end_is_written_out_too(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """After so long a time, or when half the room is taken."""
    monkeypatch.setattr(settling, "QUIET", 0.05)
    monkeypatch.setattr(settling, bound, {"GATHER": 0.3, "MOST": 20, "MOST_BYTES": 2000}[bound])
    async with core_running(Disk(tmp_path, rig.store)) as core:
        run = asyncio.create_task(core.house.settler.run())
        while not published(rig.store):
            await small_uploads(core, 1)
            await asyncio.sleep(0.01)
        run.cancel()
        await asyncio.wait([run])


# ends in between


async def dies_before(core: Core, rig: Rig) -> None:
    """Nothing was written."""


async def dies_half_way(core: Core, rig: Rig) -> None:
    """Files were written in part: some not at all, one half, none synced, on a disk that keeps what was written."""
    waiting = list(core.house.settler._waiting)
    rig.fail_syncs(True)
    with suppress(StoreError):
        core.house.store.write_out(waiting[::2])  # type: ignore[attr-defined]
    rig.fail_syncs(False)
    if isinstance(rig, LocalRig):
        torn = rig.data / "files" / waiting[1][:2] / waiting[1]
        torn.parent.mkdir(exist_ok=True)
        torn.write_bytes(b"torn")


async def dies_after(core: Core, rig: Rig) -> None:
    """All were written; the database has not heard of it."""
    core.house.store.write_out(list(core.house.settler._waiting))  # type: ignore[attr-defined]


@pytest.mark.parametrize("crash", ["kill", "power cut"])
@pytest.mark.parametrize("dies", [dies_before, dies_half_way, dies_after])
@pytest.mark.parametrize("count", [3, 20])
async def test_a_start_writes_what_the_last_process_left(
    rig: Rig, tmp_path: Path, count: int, dies: Any, crash: str
) -> None:
    """Wherever it died: each content is readable before the first request is taken, and has its file soon, whole and
    durable."""
    core = Core(Disk(tmp_path, rig.store))
    await core.start()
    uploads = await small_uploads(core, count)
    await dies(core, rig)
    await core.die()
    if crash == "kill":
        rig.kill()
    else:
        rig.power_cut()
    again = Core(Disk(tmp_path, rig.store))
    recovered = await again.start(same_boot=crash == "kill")
    assert recovered.replayed == count
    assert_readable(rig.store, uploads)
    assert await again.house.settler.settle()
    assert_written(rig.store, uploads)
    assert await again.house.state.redo(1) == []
    await again.stop()
    rig.power_cut()
    assert_written(rig.store, uploads)


async def test_a_replay_beside_deletions_brings_nothing_back(rig: Rig, tmp_path: Path) -> None:
    """A terminated upload's content goes with its row's phase."""
    core = Core(Disk(tmp_path, rig.store))
    await core.start()
    one, other = await small_uploads(core, 2)
    await core.terminate(one)
    await core.die()
    rig.kill()
    again = Core(Disk(tmp_path, rig.store))
    await again.start()
    assert await again.house.settler.settle()
    assert list(published(rig.store)) == [other]
    await again.stop()


async def test_a_server_that_stops_writes_what_it_keeps(tmp_path: Path) -> None:
    """Nothing is left to the next start."""
    store = LocalStore(tmp_path / "data")
    store.open()
    core = Core(Disk(tmp_path, store))
    state = core.house.state
    backends = Backends(state=core._sqlite, store=store)
    async with running(Settings(data=tmp_path), backends, core.house, core.uploads):
        uploads = await small_uploads(core, 5)
    assert_written(store, uploads)
    await core._sqlite.open()
    assert await state.redo(1) == []
    await core._sqlite.close()


# a store or a state in trouble


async def test_a_store_that_fails_is_tried_again_and_said_once(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contents are readable all the while; when the store works again, they are written, and that is said too."""
    monkeypatch.setattr(settling, "FIRST_RETRY", 0.02)
    monkeypatch.setattr(settling, "LAST_RETRY", 0.05)
    monkeypatch.setattr(settling, "QUIET", 0.01)
    rig.fail_syncs(True)
    with structlog.testing.capture_logs() as logs:
        async with core_running(Disk(tmp_path, rig.store)) as core:
            run = asyncio.create_task(core.house.settler.run())
            uploads = await small_uploads(core, 5)
            await asyncio.sleep(0.3)
            uploads |= await small_uploads(core, 5)
            assert_readable(rig.store, uploads)
            assert len(core.house.settler) == 10
            rig.fail_syncs(False)
            await until(lambda: len(core.house.settler) == 0)
            run.cancel()
            await asyncio.wait([run])
    told = [entry["event"] for entry in logs if entry["event"].startswith("small uploads")]
    assert len(told) == 2
    assert "it is tried again" in told[0]
    assert "again" in told[1]
    assert_written(rig.store, uploads)


async def test_a_start_on_a_store_that_fails_keeps_everything(rig: Rig, tmp_path: Path) -> None:
    """It does not hold up the server: all is readable, and written once the store works."""
    core = Core(Disk(tmp_path, rig.store))
    await core.start()
    uploads = await small_uploads(core, 10)
    await core.die()
    rig.kill()
    rig.fail_syncs(True)
    again = Core(Disk(tmp_path, rig.store))
    assert (await again.start()).replayed == 10
    assert_readable(rig.store, uploads)
    assert len(await again.house.state.redo(100)) == 10
    rig.fail_syncs(False)
    assert await again.house.settler.settle()
    assert_written(rig.store, uploads)
    await again.stop()


async def test_a_server_that_cannot_write_when_it_stops_leaves_it_to_the_next_start(rig: Rig, tmp_path: Path) -> None:
    """It ends all the same."""
    core = Core(Disk(tmp_path, rig.store))
    await core.start()
    uploads = await small_uploads(core, 3)
    rig.fail_syncs(True)
    await core.stop()
    rig.power_cut()
    rig.fail_syncs(False)
    again = Core(Disk(tmp_path, rig.store))
    await again.start()
    assert await again.house.settler.settle()
    assert_written(rig.store, uploads)
    await again.stop()


async def test_records_that_could_not_be_dropped_are_dropped_later(rig: Rig, tmp_path: Path) -> None:
    """The files are there; the database was away for a moment."""
    async with core_running(Disk(tmp_path, rig.store)) as core:
        uploads = await small_uploads(core, 3)
        drop_redo = core._sqlite.drop_redo
        fails = itertools.chain([True], itertools.repeat(False))

        async def sometimes(ids: Sequence[str]) -> None:
            if next(fails):
                raise StateError("the database is locked")
            await drop_redo(ids)

        core.house.state.__dict__["drop_redo"] = sometimes
        assert not await core.house.settler.settle()
        assert_written(rig.store, uploads)
        assert len(await core.house.state.redo(10)) == 3
        assert await core.house.settler.settle()
        assert await core.house.state.redo(10) == []
        assert len(core.house.settler) == 0


async def test_a_full_store_takes_what_fits(tmp_path: Path) -> None:
    """The rest waits in memory and in the database, and is written when there is room."""
    store = MemoryStore(capacity=500)
    async with core_running(Disk(tmp_path, store)) as core:
        uploads = await small_uploads(core, 10)
        assert not await core.house.settler.settle()
        assert 0 < len(published(store)) < 10
        assert_readable(store, uploads)
        store.capacity = None
        assert await core.house.settler.settle()
        assert_written(store, uploads)
