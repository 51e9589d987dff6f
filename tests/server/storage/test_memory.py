"""The memory store keeps the contract, and can lose bytes as a disk can."""

from contextlib import closing

import pytest
from hypothesis import settings

from ferryman_server.storage.base import Concatenates, Store, StoreError, StoreFull
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.storage.testing import StoreTests
from ferryman_server.storage.testing_machine import StoreMachine
from ferryman_server.storage.testing_rig import ONE, OTHER, Rig, put, received
from ferryman_server.storage.testing_settling import SettlingTests
from ferryman_server.storage.testing_small import SmallTests
from ferryman_server.storage.testing_together import TogetherTests


class MemoryRig(Rig):
    """The memory store is its own disk."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.store: Store = self.memory

    def kill(self) -> None:
        """The process dies."""
        self.memory.kill()

    def power_cut(self) -> None:
        """The machine dies."""
        self.memory.power_cut()

    def fail_syncs(self, failing: bool) -> None:
        """Let syncs fail, or work again."""
        self.memory.syncs_fail = failing

    def close(self) -> None:
        """Nothing is held."""


class TestMemoryStore(StoreTests, SettlingTests, SmallTests, TogetherTests):
    """The inherited suites."""

    def make_rig(self) -> Rig:
        """A new store."""
        return MemoryRig()


class MemoryMachine(StoreMachine):
    """The inherited machine."""

    def make_rig(self) -> Rig:
        """A new store."""
        return MemoryRig()


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_it_concatenates() -> None:
    """`concatenation` can be announced for the memory store."""
    assert isinstance(MemoryStore(), Concatenates)


def test_a_power_cut_takes_what_was_not_synced() -> None:
    """Unsynced bytes, and uploads without any sync, are gone."""
    store = MemoryStore()
    with closing(store.writer(ONE, 0)) as writer:
        writer.write(memoryview(b"kept"))
        writer.sync()
        writer.write(memoryview(b" lost"))
    with closing(store.writer(OTHER, 0)) as writer:
        writer.write(memoryview(b"lost"))
    store.power_cut()
    assert store.tail(ONE, 0) == 4
    assert store.tail(OTHER, 0) == -1


def test_writers_of_a_killed_process_are_closed() -> None:
    """Whatever of the old process still runs in the test cannot write any more."""
    store = MemoryStore()
    writer = store.writer(ONE, 0)
    store.kill()
    with pytest.raises(StoreError, match="closed"):
        writer.write(memoryview(b"late"))


def test_publishing_volatile_bytes_is_refused() -> None:
    """A caller that forgot to sync is told at once, not at the next power cut."""
    store = MemoryStore()
    with closing(store.writer(ONE, 0)) as writer:
        writer.write(memoryview(b"never synced"))
    with pytest.raises(StoreError, match="before its 12 bytes are durable"):
        store.publish(ONE, 12)


def test_a_small_store_gets_full_and_has_room_again() -> None:
    """A piece that does not fit is refused whole; what was there stays, and freed room can be used."""
    store = MemoryStore(capacity=10)
    put(store, OTHER, b"123456")
    assert store.free_bytes() == 4
    with closing(store.writer(ONE, 0)) as writer:
        writer.write(memoryview(b"1234"))
        with pytest.raises(StoreFull):
            writer.write(memoryview(b"5"))
        assert writer.sync() == 4
        store.discard(OTHER)
        writer.write(memoryview(b"5"))
        assert writer.sync() == 5
    assert received(store, ONE, 5) == b"12345"
