"""What a backend's tests are built from: a rig, and short words for common steps.

A rig is one store over one place, and the ways to hurt it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest

from ferryman_server.storage.base import Store

ONE: Final = "a2b3c4d5e6f7g2h3i4j5k6l7m2"  # ids, as uploads have them
OTHER: Final = "a2zzzzzzzzzzzzzzzzzzzzzzzz"  # shares the first two characters with ONE
THIRD: Final = "q7q7q7q7q7q7q7q7q7q7q7q7q7"
BAD_IDS: Final = (
    "",
    "..",
    "a2/../../etc/passwd",
    "A2B3C4D5E6F7G2H3I4J5K6L7M2",
    ONE + "\n",
    ONE + "x",
    ONE[:-1],
    "\0" * 26,
)


class Rig(ABC):
    """One store over one place, and what may happen to it. Each method leaves `store` open and usable."""

    store: Store

    @abstractmethod
    def kill(self) -> None:
        """The server's process dies and another one starts: handles are gone, what was written stays."""

    @abstractmethod
    def power_cut(self) -> None:
        """The machine dies and starts again: what was durable stays, anything else may be gone."""

    @abstractmethod
    def fail_syncs(self, failing: bool) -> None:
        """Let every sync of data fail from here on, or work again."""

    @abstractmethod
    def close(self) -> None:
        """Free whatever the rig holds."""


class RigTests:
    """Gives each test a rig of its own; needs pytest."""

    def make_rig(self) -> Rig:
        """A rig with an empty store; to be overridden by each backend."""
        raise NotImplementedError

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        """A rig of its own for each test."""
        made = self.make_rig()
        yield made
        made.close()

    @pytest.fixture
    def store(self, rig: Rig) -> Store:
        """The store that the rig began with."""
        return rig.store


def put(store: Store, upload_id: str, content: bytes, *, offset: int = 0) -> None:
    """Write `content` at `offset` and make it durable."""
    with closing(store.writer(upload_id, offset)) as writer:
        writer.write(memoryview(content))
        assert writer.sync() == offset + len(content)


def publish(store: Store, upload_id: str, content: bytes) -> None:
    """Write, make durable and publish a whole upload."""
    put(store, upload_id, content)
    store.publish(upload_id, len(content))


def received(store: Store, upload_id: str, stop: int) -> bytes:
    """The first `stop` bytes of an unpublished upload."""
    return b"".join(bytes(piece) for piece in store.read(upload_id, 0, stop, published=False))
