"""Published files without a row: a person decides whether to take them in or to delete them.

They are what a restored or replaced database does not know of. Taken in, a file becomes a complete upload. What its
client had said about it (name, type) is lost with the row, unless the store keeps it beside the bytes; its bytes and
its id are not.
"""

from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_server import digests
from ferryman_server.state.base import Record, State
from ferryman_server.storage.base import Store, Stray
from ferryman_server.storage.ledger import Label, Labels
from ferryman_server.threads import in_thread


class Doubtful(Exception):
    """Neither taken in nor deleted: the text says why."""


async def adopt(state: State, store: Store, stray: Stray, *, now: float, ttl: float, dry_run: bool = False) -> None:
    """Make a row for a published file. Reads the file once for its CRC64/NVME, if nobody keeps that. Raises Doubtful,
    StoreError, StateError. A dry run raises the same."""
    label = await _label(store, stray)
    if label.upload_id not in (None, stray.upload_id):
        raise Doubtful(f"it says that it is upload {label.upload_id}")
    if await state.get(stray.upload_id) is not None:
        raise Doubtful("another one of this upload was taken in")
    if not dry_run:
        crc64 = label.crc64 if label.crc64 is not None else await in_thread(_crc64_of, store, stray)
        await state.create(_record(stray, label, crc64, now=now, ttl=ttl))


async def delete_published(store: Store, stray: Stray, *, dry_run: bool = False) -> None:
    """Delete a published file that has no row. Raises Doubtful, and StoreError. A dry run raises the same."""
    label = await _label(store, stray)
    if label.upload_id != stray.upload_id:
        whose = f"it says that it is upload {label.upload_id}" if label.upload_id else "it does not say that it is ours"
        raise Doubtful(f"{whose}; if nobody wants it, delete it in the bucket")
    if not dry_run and isinstance(store, Labels):
        await in_thread(store.remove, stray)
    elif not dry_run:
        await in_thread(store.discard, stray.upload_id, published=True)


def crc64_of(store: Store, upload_id: str, length: int) -> int:
    """Read a published upload back and return its CRC64/NVME; blocks. Raises StoreError when bytes are missing."""
    return digests.crc64(store.read(upload_id, 0, length))


async def _label(store: Store, stray: Stray) -> Label:
    if not isinstance(store, Labels):  # then it lies in a place of ours that its id tells
        return Label(size=stray.size, upload_id=stray.upload_id)
    label = await in_thread(store.label, stray)
    if label is None:
        raise Doubtful("it is gone, or belongs to another store")
    if label.size != stray.size:
        raise Doubtful("it has changed in this moment")
    return label


def _record(stray: Stray, label: Label, crc64: int, *, now: float, ttl: float) -> Record:
    upload = Upload(
        id=stray.upload_id,
        phase=Phase.COMPLETE,
        offset=stray.size,
        length=stray.size,
        dialect="tus" if label.content_encoding is None else "rufh",  # in tus no coding stays with the bytes
        concat=Concat.PARTIAL if label.partial else None,
        concat_echo="partial" if label.partial else None,
        expires_at=now + ttl if label.partial else None,
        filename=label.filename,
        content_type=label.content_type,
        content_encoding=label.content_encoding,
    )
    return Record(
        upload=upload,
        crc64=crc64,
        created_at=stray.modified_at,
        updated_at=now,
        completed_at=stray.modified_at,
        target=stray.place,
    )


def _crc64_of(store: Store, stray: Stray) -> int:
    if isinstance(store, Labels):
        return digests.crc64(store.contents(stray))
    return crc64_of(store, stray.upload_id, stray.size)
