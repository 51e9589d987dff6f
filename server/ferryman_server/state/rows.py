"""Between a :class:`Record` and a row of the table `uploads`.

A SQL integer has 64 bits and a sign, a CRC64 has 64 bits and none: it is kept as the signed number with the same
bits. Digests are JSON text, their bytes in base64. The parts of a final upload are rows of their own table.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_server.state.base import Record

Value: TypeAlias = str | int | float | None

# What an upload is: set at creation, never again.
FIXED: Final = (
    "id",
    "dialect",
    "metadata",
    "concat",
    "concat_echo",
    "content_type",
    "content_encoding",
    "filename",
    "created_at",
    "owner",
)
# How far it is.
MUTABLE: Final = (
    "phase",
    "offset",
    "length",
    "expires_at",
    "reason",
    "crc64",
    "fence",
    "adoptable",
    "updated_at",
    "completed_at",
    "target",
    "repr_digests",
    "want_repr_digests",
)
COLUMNS: Final = (*FIXED, *MUTABLE)


def fixed_values(record: Record) -> tuple[Value, ...]:
    """The values of the columns in :data:`FIXED`, in their order."""
    upload = record.upload
    return (
        upload.id,
        upload.dialect,
        upload.metadata,
        None if upload.concat is None else upload.concat.value,
        upload.concat_echo,
        upload.content_type,
        upload.content_encoding,
        upload.filename,
        record.created_at,
        record.owner,
    )


def mutable_values(record: Record, fence: int) -> tuple[Value, ...]:
    """The values of the columns in :data:`MUTABLE`, in their order, with this fence instead of the record's."""
    upload = record.upload
    wanted = record.want_repr_digests
    return (
        upload.phase.value,
        upload.offset,
        upload.length,
        upload.expires_at,
        upload.reason,
        signed(record.crc64),
        fence,
        int(record.adoptable),
        record.updated_at,
        record.completed_at,
        record.target,
        None if record.repr_digests is None else _digests_to_json(record.repr_digests),
        json.dumps(wanted) if wanted else None,
    )


def to_row(record: Record) -> tuple[Value, ...]:
    """The row's values in the order of :data:`COLUMNS`."""
    return (*fixed_values(record), *mutable_values(record, record.fence))


def from_row(values: Sequence[Any], parts: Sequence[str] = ()) -> Record:
    """The record of a row whose values come in the order of :data:`COLUMNS`; `parts` as read from their table."""
    row = dict(zip(COLUMNS, values, strict=True))
    concat, repr_digests = row["concat"], row["repr_digests"]
    upload = Upload(
        id=row["id"],
        phase=Phase(row["phase"]),
        offset=row["offset"],
        length=row["length"],
        dialect=row["dialect"],
        metadata=row["metadata"],
        concat=None if concat is None else Concat(concat),
        concat_echo=row["concat_echo"],
        parts=tuple(parts),
        content_type=row["content_type"],
        content_encoding=row["content_encoding"],
        filename=row["filename"],
        expires_at=row["expires_at"],
        reason=row["reason"],
    )
    return Record(
        upload=upload,
        crc64=unsigned(row["crc64"]),
        fence=row["fence"],
        adoptable=bool(row["adoptable"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        completed_at=row["completed_at"],
        owner=row["owner"],
        target=row["target"],
        repr_digests=None if repr_digests is None else _digests_from_json(repr_digests),
        want_repr_digests=tuple(json.loads(row["want_repr_digests"] or "[]")),
    )


def signed(crc64: int) -> int:
    """The signed 64-bit number with the bits of an unsigned one."""
    return crc64 - (1 << 64) if crc64 >> 63 else crc64


def unsigned(value: int) -> int:
    """The unsigned 64-bit number with the bits of a signed one."""
    return value & ((1 << 64) - 1)


def _digests_to_json(digests: Digests) -> str:
    return json.dumps([[name, base64.b64encode(digest).decode("ascii")] for name, digest in digests.values])


def _digests_from_json(text: str) -> Digests:
    return Digests(values=tuple((name, base64.b64decode(digest)) for name, digest in json.loads(text)))
