"""What an upload's row says once the upload is complete."""

from dataclasses import replace

from ferryman_protocol.model import Concat, Phase
from ferryman_protocol.transitions import advance
from ferryman_server.state.base import Record


def completed(record: Record, *, offset: int, crc64: int, expires_at: float | None, now: float) -> Record:
    """The record of an upload that is complete with `offset` bytes, whatever is left of its way there.

    A finished upload never expires; a partial one lives on until `expires_at`, since it may be used again.
    """
    upload = advance(
        record.upload,
        Phase.COMPLETE,
        through=Phase.FINISHING,
        offset=offset,
        length=offset,
        expires_at=expires_at if record.upload.concat is Concat.PARTIAL else None,
    )
    return replace(record, upload=upload, crc64=crc64, adoptable=True, completed_at=now, updated_at=now)
