"""What is made of uploads in the memory store: the contract, and a bound like a disk's."""

import pytest
from hypothesis import settings

from ferryman_server.storage.base import StoreFull
from ferryman_server.storage.memory import MemoryStore
from ferryman_server.storage.testing_derived import FIRST, SECOND, DerivedTests, content
from ferryman_server.storage.testing_derived_machine import DerivedMachine
from ferryman_server.storage.testing_rig import ONE, Rig, put
from tests.server.storage.test_memory import MemoryRig


class TestMemoryDerived(DerivedTests):
    """The inherited suite."""

    def make_rig(self) -> Rig:
        """A new store."""
        return MemoryRig()


class MemoryMachine(DerivedMachine):
    """The inherited machine."""

    def make_rig(self) -> Rig:
        """A new store."""
        return MemoryRig()


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_it_shares_the_room_with_uploads() -> None:
    """A small store gets full of either; what was there stays, and its own room can be used again."""
    store = MemoryStore(capacity=10)
    put(store, ONE, b"1234")
    store.derived.put(FIRST, b"12345")
    assert store.free_bytes() == 1
    with pytest.raises(StoreFull):
        store.derived.put(SECOND, b"12")
    with pytest.raises(StoreFull):
        store.derived.put(FIRST, b"1234567")
    assert content(store.derived, FIRST) == b"12345"
    store.derived.put(FIRST, b"123456")
    store.derived.free(FIRST)
    assert store.free_bytes() == 6
