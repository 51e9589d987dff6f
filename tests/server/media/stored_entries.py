"""Archives in a store, and where their entries lie."""

from collections.abc import Iterator, Sequence
from typing import Final

from ferryman_server.media.entries import Entry
from ferryman_server.media.looking import look_at
from ferryman_server.media.zip_index import Limits
from ferryman_server.storage.memory import MemoryStore
from tests.zips.build import Archive, Member

ID: Final = "a" * 26
LIMITS: Final = Limits(entries=1000, name_length=100, entry_size=1 << 30, total_size=1 << 32)


class Noting(MemoryStore):
    """A store in memory that notes what is read of it, and hands it out in pieces of some size."""

    def __init__(self, piece: int = 1 << 20) -> None:
        super().__init__()
        self.reads: list[tuple[int, int]] = []
        self._piece = piece

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """As the store in memory does it, in smaller pieces."""
        self.reads.append((start, stop))
        for piece in super().read(upload_id, start, stop, published=published):
            for at in range(0, len(piece), self._piece):
                yield piece[at : at + self._piece]


def stored(members: Sequence[Member], *, piece: int = 1 << 20) -> tuple[Noting, list[Entry]]:
    """A store with an archive of these members under ID, and its entries as the indexer finds them."""
    data, store = Archive(members).to_bytes(), Noting(piece)
    put(store, data)
    looked = look_at([data], LIMITS)
    assert looked.refused is None, looked.refused
    return store, list(looked.entries)


def put(store: MemoryStore, data: bytes) -> None:
    """Publish these bytes under ID, in the place of others."""
    store.discard(ID, published=True)
    writer = store.writer(ID, 0)
    writer.write(memoryview(data))
    writer.sync()
    writer.close()
    store.publish(ID, len(data))
