"""Records for the tests of state backends, and what a test wants of many of them at once."""

import itertools
from dataclasses import replace
from typing import Any, Final

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_server.state.base import Record, State

FULL_CRC: Final = (1 << 64) - 1
_numbers = itertools.count()


def new_id() -> str:
    """An upload id that this process has not used, of the form the server gives; later ones sort later."""
    number, letters = next(_numbers), []
    for _ in range(26):
        number, digit = divmod(number, 32)
        letters.append("234567abcdefghijklmnopqrstuvwxyz"[digit])
    return "".join(reversed(letters))


def new_record(upload_id: str | None = None, *, created_at: float = 1000.0, **fields: Any) -> Record:
    """A record to create: an empty tus upload of 100 bytes; `fields` are those of :class:`Upload`."""
    values: dict[str, Any] = {"phase": Phase.EMPTY, "length": 100, **fields}
    return Record(upload=Upload(id=upload_id or new_id(), **values), created_at=created_at, updated_at=created_at)


def advanced(record: Record, **fields: Any) -> Record:
    """The record with other values in its :class:`Upload`."""
    return replace(record, upload=replace(record.upload, **fields))


def full_record() -> Record:
    """A record with a value in every field, each at an edge of what it can hold."""
    upload = Upload(
        id=new_id(),
        phase=Phase.RECEIVING,
        offset=(1 << 43) - 1,
        length=1 << 43,
        dialect="rufh",
        metadata="filename w6QucG5n,empty",
        concat=Concat.PARTIAL,
        concat_echo="partial",
        content_type="image/png; name=ä",
        content_encoding="zstd",
        filename="ä „quoted“ 'name'.png",
        expires_at=1700000000.123456,
        reason="because",
    )
    return Record(
        upload=upload,
        crc64=FULL_CRC,
        fence=0,
        adoptable=False,
        created_at=1600000000.654321,
        updated_at=1600000001.5,
        completed_at=1600000002.25,
        owner="someone",
        target="files/ab/name",
        repr_digests=Digests(values=(("sha-256", bytes(range(32))), ("md5", b""))),
        want_repr_digests=("sha-512", "sha-256"),
    )


async def walk(state: State, *, limit: int) -> list[Record]:
    """Every record, by walking the pages."""
    records: list[Record] = []
    page = await state.page(limit=limit)
    records += page.records
    while page.next is not None:
        page = await state.page(limit=limit, cursor=page.next)
        assert len(page.records) <= limit
        records += page.records
    return records


def newest_first(records: list[Record]) -> list[Record]:
    """The order of the listing."""
    return sorted(records, key=lambda record: (record.created_at, record.upload.id), reverse=True)
