"""Writes uploads without end and tells each acknowledged offset; the crash test starts and kills it."""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from ferryman_protocol.model import Phase
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.testing_records import advanced, new_record


async def write(state: SqliteState) -> None:
    """One upload's life: created, then saved at rising offsets."""
    record = new_record(length=None)
    await state.create(record)
    tell(record.upload.id, 0)
    leased = await state.lease(record.upload.id)
    assert leased is not None
    for offset in range(1, sys.maxsize):
        await state.save(replace(advanced(record, phase=Phase.RECEIVING, offset=offset), crc64=offset), leased[1])
        tell(record.upload.id, offset)


def tell(upload_id: str, offset: int) -> None:
    """One line in one write, so that a kill cannot mix two."""
    os.write(1, f"{upload_id} {offset}\n".encode())


async def main(path: Path) -> None:
    """Eight writers at once, so that commits are groups."""
    state = SqliteState(path, store_id="store")
    await state.open()
    await asyncio.gather(*(write(state) for _ in range(8)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
