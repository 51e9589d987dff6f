"""Servers that know many uploads already, for the HEAD scenario.

Ours gets rows through its own state. A rival gets one finished upload over tus, and copies of every file that this left
under other ids: no knowledge of its formats is needed.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.bodies import Body
from bench.errors import CannotMeasure
from bench.load import loaded
from bench.processes import running
from bench.scenarios import Scenario
from bench.servers import Server
from ferryman_protocol.model import Phase, Upload
from ferryman_server.state.base import Record
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.storage.local import LocalStore

AT_ONCE: Final = 5000  # rows in flight: the state commits them in groups


def prepare(server: Server, scenario: Scenario, body: Body, data: Path, paths: Path) -> None:
    """Fill a fresh folder with finished uploads and write their URL paths to the file `paths`."""
    if server.kind == "ours":
        ids = [f"{number:026d}".translate(_DIGITS) for number in range(scenario.known)]
        asyncio.run(_fill_state(data, ids, scenario.size))
    else:
        ids = _copies(server, scenario, body, data, scenario.known_by_rivals)
    paths.write_text("".join(f"{server.path}{each}\n" for each in ids))


_DIGITS: Final = str.maketrans("0123456789", "abcdefghij")  # an id of ours has no 0, 1, 8 or 9


async def _fill_state(data: Path, ids: list[str], size: int) -> None:
    store = LocalStore(data, durability="os")
    store.open()
    state = SqliteState(data / "state.db", store_id=store.store_id)
    await state.open()
    try:
        now = time.time()
        for start in range(0, len(ids), AT_ONCE):
            rows = (state.create(_finished(each, size, now)) for each in ids[start : start + AT_ONCE])
            await asyncio.gather(*rows)
    finally:
        await state.close()


def _finished(upload_id: str, size: int, now: float) -> Record:
    upload = Upload(id=upload_id, phase=Phase.COMPLETE, offset=size, length=size, metadata="filename dS5iaW4=")
    return Record(upload=upload, created_at=now, updated_at=now, completed_at=now)


def _copies(server: Server, scenario: Scenario, body: Body, data: Path, count: int) -> list[str]:
    with (
        running(server, data) as target,
        loaded(target.port, server.path, "--count", 1, "--size", scenario.size, "--body", str(body.file)) as told,
    ):
        first = str(told["first_path"]).rpartition("/")[2]
    made = [(path, path.read_bytes()) for path in _files(data) if first in path.name]
    if not made or len(first) < 16:
        raise CannotMeasure("the upload that was to be copied left no file of its name")
    ids = [first] + [f"{first[:-8]}{number:08x}" for number in range(1, count)]
    for each in ids[1:]:
        for path, content in made:
            copy = path.with_name(path.name.replace(first, each))
            with open(copy, "wb", buffering=0) as file:
                file.write(content.replace(first.encode(), each.encode()))
    return ids


def _files(data: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(data):
        yield from (Path(folder) / name for name in names)
