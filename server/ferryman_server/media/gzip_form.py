"""A deflated entry as gzip: a header and a trailer around the packed bytes, as they lie in the archive.

Source: RFC 1952 §2.3. What the trailer says, CRC-32 and size, is what the archive says of the entry.
"""

import struct
from collections.abc import Iterator
from typing import Final

from ferryman_server.media.entries import Entry
from ferryman_server.media.piecing import Piece
from ferryman_server.storage.base import Store

HEADER: Final = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))  # deflate; no name, no time, an unknown system
_TRAILER: Final = struct.Struct("<II")


def gzip_size(entry: Entry) -> int:
    """Bytes of an entry as gzip."""
    return len(HEADER) + entry.packed + _TRAILER.size


def gzipped(store: Store, upload_id: str, entry: Entry) -> Iterator[Piece]:
    """A deflated entry of a complete upload as gzip. Raises StoreError."""
    yield from _with_header(store.read(upload_id, entry.data, entry.data + entry.packed))
    yield _TRAILER.pack(entry.crc, entry.size & 0xFFFF_FFFF)


def _with_header(packed: Iterator[memoryview]) -> Iterator[Piece]:
    first = next(packed, None)
    yield HEADER if first is None else HEADER + first  # read before anything is sent
    yield from packed
