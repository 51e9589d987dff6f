"""Between a :class:`Record` and a row of the table `uploads`.

A SQL integer has 64 bits and a sign, a CRC64 has 64 bits and none: it is kept as the signed number with the same
bits. Digests are JSON text, their bytes in base64. The parts of a final upload are rows of their own table.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_server.state.base import Record

Value: TypeAlias = str | int | float | None

COLUMNS: Final = (
    "id",
    "phase",
    "offset",
    "length",
    "dialect",
    "metadata",
    "concat",
    "concat_echo",
    "content_type",
    "content_encoding",
    "filename",
    "expires_at",
    "reason",
    "crc64",
    "fence",
    "adoptable",
    "created_at",
    "updated_at",
    "completed_at",
    "owner",
    "target",
    "repr_digests",
    "want_repr_digests",
)
FIXED: Final = frozenset({"id", "dialect", "concat", "concat_echo", "created_at"})  # set at creation, never again

_FROM_UPLOAD: Final = (
    "id",
    "offset",
    "length",
    "dialect",
    "metadata",
    "concat_echo",
    "content_type",
    "content_encoding",
    "filename",
    "expires_at",
    "reason",
)
_FROM_RECORD: Final = ("fence", "created_at", "updated_at", "completed_at", "owner", "target")


def to_row(record: Record) -> dict[str, Value]:
    """The row's values by column name."""
    upload = record.upload
    row: dict[str, Value] = {name: getattr(upload, name) for name in _FROM_UPLOAD}
    row.update((name, getattr(record, name)) for name in _FROM_RECORD)
    row["phase"] = upload.phase.value
    row["concat"] = None if upload.concat is None else upload.concat.value
    row["crc64"] = signed(record.crc64)
    row["adoptable"] = int(record.adoptable)
    row["repr_digests"] = _digests_to_json(record.repr_digests)
    row["want_repr_digests"] = json.dumps(record.want_repr_digests) if record.want_repr_digests else None
    return row


def from_row(values: Sequence[Any], parts: Sequence[str] = ()) -> Record:
    """The record of a row whose values come in the order of :data:`COLUMNS`; `parts` as read from their table."""
    row: Mapping[str, Any] = dict(zip(COLUMNS, values, strict=True))
    upload = Upload(
        phase=Phase(row["phase"]),
        concat=None if row["concat"] is None else Concat(row["concat"]),
        parts=tuple(parts),
        **{name: row[name] for name in _FROM_UPLOAD},
    )
    return Record(
        upload=upload,
        crc64=unsigned(row["crc64"]),
        adoptable=bool(row["adoptable"]),
        repr_digests=_digests_from_json(row["repr_digests"]),
        want_repr_digests=tuple(json.loads(row["want_repr_digests"] or "[]")),
        **{name: row[name] for name in _FROM_RECORD},
    )


def signed(crc64: int) -> int:
    """The signed 64-bit number with the bits of an unsigned one."""
    return crc64 - (1 << 64) if crc64 >> 63 else crc64


def unsigned(value: int) -> int:
    """The unsigned 64-bit number with the bits of a signed one."""
    return value & ((1 << 64) - 1)


def _digests_to_json(digests: Digests | None) -> str | None:
    if digests is None:
        return None
    return json.dumps([[name, base64.b64encode(digest).decode("ascii")] for name, digest in digests.values])


def _digests_from_json(text: str | None) -> Digests | None:
    if text is None:
        return None
    return Digests(values=tuple((name, base64.b64decode(digest)) for name, digest in json.loads(text)))
