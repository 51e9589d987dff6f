"""What becomes of an upload whose store has lost bytes that were told to be safe: somebody else deleted them.

A tus upload begins again, at the same URL: its clients ask for the offset before they go on. The IETF protocol forbids
an offset to go back (R2: "deactivate, reject"): there the upload has failed, with the reason. So has a final upload,
whose client only waits for it.
"""

from dataclasses import replace

import structlog

from ferryman_protocol.model import Concat, Phase
from ferryman_protocol.transitions import advance, begun_again
from ferryman_server.state.base import Lease, Notes, Record, State
from ferryman_server.storage.base import BytesLost

log = structlog.get_logger("ferryman.losing")


async def lose(state: State, record: Record, lease: Lease, loss: BytesLost, now: float) -> Record:
    """Commit it; returns the record. Raises StateError and Fenced."""
    upload = record.upload
    log.error("acknowledged bytes are missing", upload_id=upload.id, offset=upload.offset, reason=str(loss))
    if upload.dialect == "tus" and upload.concat is not Concat.FINAL:
        lost = begun_again(upload)
    else:
        receiving = advance(upload, Phase.RECEIVING) if upload.phase is Phase.EMPTY else upload
        lost = advance(receiving, Phase.FAILED, reason="its bytes were deleted in the store; start over")
    gone: Notes = dict.fromkeys(await state.notes(upload.id)) | loss.remember
    record = replace(record, upload=lost, crc64=0, updated_at=now)
    await state.save(record, lease, notes=gone)
    return record
