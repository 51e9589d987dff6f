"""What tests of small uploads share: one that is as large as a small one may be, and looks at what became of it."""

from typing import Any

from ferryman_protocol.commands import Content
from ferryman_protocol.model import Phase, Reply
from ferryman_server import small
from ferryman_server.state.base import Record
from ferryman_server.storage.base import read_all
from tests.server.core_model import crc_of
from tests.support.core import TUS, Core, Feed
from tests.support.uploading import content

WHOLE = content(small.MOST)
LENGTH = len(WHOLE)


async def redo(core: Core) -> dict[str, bytes]:
    """The contents that only the database knows."""
    return dict(await core.house.state.redo(100))


def files(core: Core) -> list[str]:
    """The uploads of which the store holds a file."""
    return [stray.upload_id for stray in core.disk.store.strays()]


def readable(core: Core, upload_id: str, length: int) -> bytes:
    """What can be downloaded of an upload that is complete."""
    return read_all(core.disk.store, upload_id, length)


async def assert_complete(core: Core, upload_id: str, whole: bytes = WHOLE) -> Record:
    """The row is complete and right, and the bytes can be read."""
    record = await core.record(upload_id)
    assert (record.upload.phase, record.upload.offset) == (Phase.COMPLETE, len(whole))
    assert (record.upload.length, record.upload.expires_at) == (len(whole), None)
    assert record.crc64 == crc_of(whole)
    assert record.completed_at == record.updated_at
    assert readable(core, upload_id, len(whole)) == whole
    return record


async def request_of(core: Core, upload_id: str | None, request: Content, **more: Any) -> Reply:
    """Send WHOLE in one request: an append, or without an id a creation."""
    x = core.exchange(Feed(WHOLE), TUS)
    if upload_id is None:
        return await core.uploads.create(core.creation(LENGTH, request, **more), x)
    return await core.uploads.append(core.appending(upload_id, 0, request, **more), x)
