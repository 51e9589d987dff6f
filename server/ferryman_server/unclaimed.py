"""Published files without a row: a person decides whether to take them in or to delete them.

They are what a restored or replaced database does not know of. Taken in, a file becomes a complete upload; what its
client had said about it (name, type, protocol) is lost, its bytes and its id are not.
"""

from ferryman_protocol.model import Phase, Upload
from ferryman_server.digests import Crc64
from ferryman_server.state.base import Record, State
from ferryman_server.storage.base import Store, Stray
from ferryman_server.threads import in_thread


async def adopt(state: State, store: Store, stray: Stray, *, now: float) -> Record:
    """Make a row for a published file. Reads the file once for its CRC64/NVME. Raises StoreError, StateError."""
    crc64 = await in_thread(crc64_of, store, stray.upload_id, stray.size)
    upload = Upload(id=stray.upload_id, phase=Phase.COMPLETE, offset=stray.size, length=stray.size)
    record = Record(
        upload=upload, crc64=crc64, created_at=stray.modified_at, updated_at=now, completed_at=stray.modified_at
    )
    await state.create(record)
    return record


async def delete_published(store: Store, stray: Stray) -> None:
    """Delete a published file that has no row. Raises StoreError."""
    await in_thread(store.discard, stray.upload_id, published=True)


def crc64_of(store: Store, upload_id: str, length: int) -> int:
    """Read a published upload back and return its CRC64/NVME; blocks. Raises StoreError when bytes are missing."""
    running = Crc64(0)
    for piece in store.read(upload_id, 0, length):
        running.update(piece)
    return running.value
