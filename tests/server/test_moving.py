"""Finished files are moved when a burst is over, and a file that cannot be moved stays readable."""

import asyncio
from pathlib import Path

import pytest

from ferryman_server import moving
from ferryman_server.lull import lull
from ferryman_server.moving import Mover
from ferryman_server.storage.base import read_all
from ferryman_server.storage.local import LocalStore
from ferryman_server.storage.testing_rig import ONE, OTHER, put
from tests.support.core import until


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store with two finished files where they were received."""
    made = LocalStore(tmp_path / "data")
    made.open()
    put(made, ONE, b"one")
    put(made, OTHER, b"other")
    return made


def published(store: LocalStore) -> set[str]:
    """What lies in its place."""
    return {stray.upload_id for stray in store.strays() if stray.published}


async def test_files_are_moved_after_a_while(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that gathered, by the mover's own task."""
    monkeypatch.setattr(moving, "QUIET", 0.02)
    mover = Mover(store)
    running = asyncio.create_task(mover.run())
    mover.move_later(ONE, 3)
    mover.move_later(OTHER, 5)
    assert published(store) == set()
    await until(lambda: published(store) == {ONE, OTHER})
    assert read_all(store, OTHER, 5) == b"other"
    running.cancel()


async def test_one_that_cannot_be_moved_does_not_hold_up_the_others(store: LocalStore) -> None:
    """Its length is not what its row says: it is left where it is, for an operator to look at."""
    mover = Mover(store)
    mover.move_later(ONE, 4)
    mover.move_later(OTHER, 5)
    await mover.move()
    assert published(store) == {OTHER}
    await mover.move()


async def test_a_lull_is_waited_for() -> None:
    """While more keeps coming it is not quiet; a crowd is not waited for, nor is it waited for too long."""
    more, loop = asyncio.Event(), asyncio.get_running_loop()
    more.set()
    began = loop.time()
    await lull(more, quiet=0.02, longest=10, crowded=lambda: False)
    assert loop.time() - began >= 0.02
    assert not more.is_set()
    more.set()
    await lull(more, quiet=60, longest=60, crowded=lambda: True)
    assert not more.is_set()

    async def keeps_coming() -> None:
        while True:
            more.set()
            await asyncio.sleep(0)

    coming = asyncio.create_task(keeps_coming())
    more.set()
    await lull(more, quiet=0.001, longest=0.05, crowded=lambda: False)
    coming.cancel()
