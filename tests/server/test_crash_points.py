"""A process or a machine that dies between any two steps on the way to `complete` loses nothing it has told.

Each step is a call into the store, a call into the state, or a sync of the disk. The same uploads are sent again and
again; each time the process dies one step later, until it comes through. The disk keeps nothing but what was synced.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.model import Phase
from ferryman_server import uploads
from ferryman_server.reaper import reap
from ferryman_server.storage.base import StoreError, read_all
from tests.server.storage.local_rig import LocalRig
from tests.support.core import Core, Disk, Feed, Mortal
from tests.support.uploading import content

SMALL, LARGE = content(5_000), content(50_000)


class Death(BaseException):
    """The end of the process: nothing in it catches this."""


class Reaper:
    """Lets a process die at a given step; after that nothing it does has an effect."""

    def __init__(self, at: int | None) -> None:
        self.steps = 0
        self._at = at
        self.victims: list[Mortal] = []

    def step(self) -> None:
        """One more step is about to be made."""
        self.steps += 1
        if self._at is not None and self.steps >= self._at:
            for victim in self.victims:
                victim.dead = True
            raise Death


class Counting:
    """A state or store each of whose calls is a step."""

    def __init__(self, inner: Any, reaper: Reaper) -> None:
        self._inner = inner
        self._reaper = reaper

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or name in ("read", "close"):
            return found

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._reaper.step()
            return found(*args, **kwargs)

        return counted


class Scene:
    """A disk, and what a client was told of its uploads."""

    def __init__(self, folder: Path) -> None:
        self.rig = LocalRig()
        self._folder = folder
        self.told: dict[str, bytes] = {}  # complete, as far as the client knows
        self.sent: dict[str, bytes] = {}  # and what else there may be
        self.deleted: set[str] = set()  # as far as the client knows
        self.going: set[str] = set()

    @asynccontextmanager
    async def process(self, reaper: Reaper) -> AsyncIterator[Core]:
        """A process that dies when the reaper says so."""
        store: Any = Counting(self.rig.local, reaper)
        core = Core(Disk(self._folder, self.rig.local), wrap=lambda _: store)
        await core.start()
        core._state._inner = Counting(core._sqlite, reaper)
        reaper.victims = [core._state, core._store]
        disk, syncs = self.rig.disk, (self.rig.disk.sync_file, self.rig.disk.sync_folder, self.rig.disk.sync_all)

        def counted(sync: Any) -> Any:
            def step(descriptor: int) -> None:
                reaper.step()
                sync(descriptor)

            return step

        seams = [(self.rig.local, "_sync"), (self.rig.local._folders, "_sync"), (self.rig.local._kept, "sync_all")]
        for (place, name), sync in zip(seams, syncs, strict=True):
            setattr(place, name, counted(sync))
        self.rig.local._kept._sync = counted(disk.sync_file)
        try:
            yield core
        finally:
            await core.die()

    async def uploads(self, core: Core) -> None:
        """Some uploads, on the quick ways there are."""
        for body in (SMALL, LARGE, LARGE[1:]):
            upload_id = await core.created(len(body))
            self.sent[upload_id] = body
            await core.append(upload_id, 0, Feed(body))
            self.told[upload_id] = body
        for _ in range(9):
            upload_id = await core.created(len(SMALL), feed=Feed(SMALL))
            self.told[upload_id] = self.sent[upload_id] = SMALL
        assert await core.house.settler.settle()
        await core.house.mover.move()
        small, large, *_ = self.told
        for upload_id in (small, large):
            self.going.add(upload_id)
            await core.terminate(upload_id)
            self.deleted.add(upload_id)
        upload_id = await core.created(len(LARGE), feed=Feed(LARGE))
        self.told[upload_id] = self.sent[upload_id] = LARGE

    async def play(self, reaper: Reaper) -> bool:
        """One process's life; True when it came through."""
        async with self.process(reaper) as core:
            try:
                await self.uploads(core)
            except (Death, Exception):
                if not core._store.dead:
                    raise  # a process that lives on failed
                await asyncio.sleep(0)
            return not core._store.dead

    async def look(self) -> None:
        """Another process finds everything that was told, before and after it has tidied up."""
        core = Core(Disk(self._folder, self.rig.local))
        await core.start()
        for tidy in (False, True):
            for upload_id, body in {**self.sent, **self.told}.items():
                await self._look_at(core, upload_id, body, tidy=tidy)
            report = await reap(core.house.state, self.rig.local, now=1e12, orphan_ttl=1e13)
            assert (report.unclaimed, report.failed) == ([], 0)
            assert await core.house.settler.settle()
        complete = {record.upload.id for record in await core.house.state.in_phases([Phase.COMPLETE])}
        assert {stray.upload_id for stray in self.rig.local.strays() if stray.published} == complete
        assert await core.house.state.redo(1) == []
        assert not await self._unrecorded(core) & {*self.sent, *self.told}
        await reap(core.house.state, self.rig.local, now=1e12, orphan_ttl=0)
        assert await self._unrecorded(core) == set()
        await core.stop()

    async def _unrecorded(self, core: Core) -> set[str]:
        """What no row speaks of: a creation's content that was stored before its row."""
        found = {stray.upload_id for stray in self.rig.local.strays()}
        return found - set(await core.house.state.existing(list(found)))

    async def _look_at(self, core: Core, upload_id: str, body: bytes, *, tidy: bool) -> None:
        phase = await core.phase(upload_id)
        if upload_id in self.deleted:
            assert phase is Phase.TERMINATED
        elif upload_id in self.told and upload_id not in self.going:
            assert phase is Phase.COMPLETE
        if phase is Phase.COMPLETE:
            assert read_all(self.rig.local, upload_id, len(body)) == body
        elif phase is Phase.TERMINATED and tidy:
            with pytest.raises(StoreError, match="missing"):
                read_all(self.rig.local, upload_id, 1)

    def close(self) -> None:
        """Free the disk."""
        self.rig.close()

    def crash(self, way: str) -> None:
        """The process is gone; the machine too, or not."""
        if way == "power cut":
            self.rig.power_cut()
        else:
            self.rig.kill()


@pytest.fixture
def one_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All uploads lie in the same folder, so that each one's syncs may harm the others."""
    number = itertools.count()

    def in_one_folder(entropy: bytes) -> str:
        digits = f"{next(number):024d}"
        return "aa" + digits.translate(str.maketrans("0189", "wxyz"))

    monkeypatch.setattr(uploads, "new_id", in_one_folder)
    return iter(())


@pytest.mark.parametrize("way", ["kill", "power cut"])
@pytest.mark.usefixtures("one_folder")
async def test_a_crash_at_any_step_loses_nothing_that_was_told(tmp_path: Path, way: str) -> None:
    """Complete uploads are complete and right, deleted ones are gone, and nothing else is left behind."""
    steps = 0
    for at in itertools.count(1):
        folder = tmp_path / str(at)
        folder.mkdir()
        with closing(Scene(folder)) as scene:
            came_through = await scene.play(Reaper(at))
            scene.crash(way)
            await scene.look()
        steps = at
        if came_through:
            break
    assert steps > 40, "the steps were not counted"
