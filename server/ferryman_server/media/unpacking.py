"""The content of entries of a stored archive: read where it lies, unpacked piece by piece, bounded by its size."""

from collections.abc import Iterable, Iterator

from ferryman_server.media.entries import STORED, Entry
from ferryman_server.media.piecing import Piece, between
from ferryman_server.media.zip_errors import BadArchive
from ferryman_server.media.zip_unpackers import UNPACKERS
from ferryman_server.storage.base import Store, StoreError


def content(store: Store, upload_id: str, entry: Entry) -> bytes:
    """All of it, which has to fit into memory. Raises StoreError."""
    return b"".join(pieces(store, upload_id, entry, 0, entry.size))


def pieces(store: Store, upload_id: str, entry: Entry, start: int, stop: int) -> Iterator[Piece]:
    """Bytes [start, stop) of the content of an entry of a complete upload. Raises StoreError, also where the bytes are
    not those that were indexed."""
    if entry.method == STORED:
        yield from store.read(upload_id, entry.data + start, entry.data + stop)
        return
    packed = store.read(upload_id, entry.data, entry.data + entry.packed)
    yield from between(unpacked(packed, entry, upload_id), start, stop)


def unpacked(packed: Iterable[Piece], entry: Entry, upload_id: str) -> Iterator[Piece]:
    """The content of an entry from its packed bytes. Raises StoreError where that is not what was indexed."""
    left = entry.size
    for plain in packed if entry.method == STORED else _undone(packed, entry, upload_id):
        left -= len(plain)
        if left < 0:
            raise _other(entry, upload_id, f"it has more than {entry.size} bytes")
        yield plain
    if left:
        raise _other(entry, upload_id, f"{left} bytes are missing")


def _undone(packed: Iterable[Piece], entry: Entry, upload_id: str) -> Iterator[bytes]:
    """So little is unpacked at once that what comes of it stays small."""
    found: list[bytes] = []
    try:
        unpacker = UNPACKERS[entry.method](found.append)
        for piece in packed:
            rest = memoryview(piece)
            while rest:
                if unpacker.ended:
                    raise BadArchive("its packed data end too early")
                rest = rest[unpacker.feed(rest[: unpacker.at_once]) :]
                yield from found
                found.clear()
    except BadArchive as bad:
        raise _other(entry, upload_id, str(bad)) from bad


def _other(entry: Entry, upload_id: str, how: str) -> StoreError:
    return StoreError(f"entry {entry.number} of upload {upload_id} is not what was indexed: {how}")
