"""The rows that were read or written last, kept in memory: most questions about an upload are about one of these.

Rules:

- A row is here as it was last committed, as far as the event loop knows: told by whoever hands out the outcomes, in
  the order of the commits, before anybody who waits for one of them goes on.
- What a write that failed has left is not known: its row is dropped.
- A row that was read is taken in only if nobody asked for a write of it while it was being read.
- What is kept is bounded by its size, so that neither long metadata nor many uploads take much memory.

Used on the event loop only.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from ferryman_server.state.base import Record
from ferryman_server.state.rows import fixed_values

SPACE: Final = 12 << 20  # bytes for all rows, about: 12,000 ordinary ones
LARGEST: Final = 8 << 10  # bytes of one row: larger ones, and those with parts, are read from the database each time
BARE: Final = 800  # bytes of a row without its texts


@dataclass(slots=True)
class _Row:
    record: Record
    fence: int  # of the row: that of the record is put right when somebody asks
    size: int  # bytes, about


class Recent:
    """The rows, and which of them are being read."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, _Row] = OrderedDict()  # the last used last
        self._size = 0
        self._reading: dict[str, object] = {}  # who may take in a row, until somebody writes it

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, upload_id: str) -> Record | None:
        """The row, if it is here."""
        row = self._rows.get(upload_id)
        if row is None:
            return None
        self._rows.move_to_end(upload_id)
        if row.record.fence != row.fence:
            row.record = replace(row.record, fence=row.fence)
        return row.record

    def put(self, record: Record) -> None:
        """A row that was inserted or read."""
        upload = record.upload
        self.drop(upload.id)
        size = _size(record)
        if upload.parts or size > LARGEST:
            return
        self._rows[upload.id] = _Row(record, record.fence, size)
        self._grow(size)

    def update(self, record: Record, fence: int) -> None:
        """What may change of a row was written under this fence."""
        upload_id = record.upload.id
        row = self._rows.get(upload_id)
        if row is None:
            return
        size = _size(record)
        if record.upload.parts or size > LARGEST or fixed_values(row.record) != fixed_values(record):
            self.drop(upload_id)  # too large now, or told to be what it is not: the database knows
            return
        self._rows.move_to_end(upload_id)
        grown, row.record, row.fence, row.size = size - row.size, record, fence, size
        self._grow(grown)

    def drop(self, upload_id: str) -> None:
        """Nothing is known about this row any more."""
        row = self._rows.pop(upload_id, None)
        if row is not None:
            self._size -= row.size

    def reading(self, upload_id: str) -> object:
        """A read of this row begins while nobody writes it: the right to take it in."""
        right = self._reading[upload_id] = object()
        return right

    def writing(self, upload_id: str) -> None:
        """A write of this row was asked for: what is being read may not be taken in."""
        self._reading.pop(upload_id, None)

    def take_in(self, right: object, upload_id: str, record: Record | None) -> None:
        """A read has ended; None: there is no such row, or no answer."""
        if self._reading.get(upload_id) is right:
            del self._reading[upload_id]
            if record is not None:
                self.put(record)

    def _grow(self, size: int) -> None:
        self._size += size
        while self._size > SPACE:
            _, oldest = self._rows.popitem(last=False)
            self._size -= oldest.size


def _size(record: Record) -> int:
    upload, digests = record.upload, record.repr_digests
    texts = (upload.metadata, upload.concat_echo, upload.content_type, upload.filename, upload.reason, record.owner)
    size = BARE + sum([len(text) for text in texts if text])
    if digests is not None:
        size += sum(len(name) + len(digest) for name, digest in digests.values)
    return size + sum(map(len, record.want_repr_digests))
