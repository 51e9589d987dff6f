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


async def complete(state: SqliteState) -> None:
    """Small uploads, each complete with the commit that holds its content: created so, or created empty and saved."""
    for number in range(1, sys.maxsize):
        record = new_record(length=None)
        content = content_of(record.upload.id, number)
        done = replace(advanced(record, phase=Phase.COMPLETE, offset=len(content)), crc64=len(content))
        if number % 2:
            await state.create(done, content=content)
        else:
            await state.create(record)
            leased = await state.lease(record.upload.id)
            assert leased is not None
            await state.save(done, leased[1], content=content)
        tell(record.upload.id, len(content))


def content_of(upload_id: str, times: int) -> bytes:
    """What such an upload consists of: its id, again and again, up to some pages of the database."""
    return upload_id.encode() * (times % 500)


def tell(upload_id: str, offset: int) -> None:
    """One line in one write, so that a kill cannot mix two."""
    os.write(1, f"{upload_id} {offset}\n".encode())


async def main(path: Path) -> None:
    """Eight writers at once, so that commits are groups."""
    state = SqliteState(path, store_id="store")
    await state.open()
    await asyncio.gather(*(write(state) for _ in range(5)), *(complete(state) for _ in range(3)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
