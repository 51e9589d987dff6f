"""Processes that tell events, one after the other on the same database, each ending well or killed."""

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from ferryman_server.event_log import EventLog
from ferryman_server.events import Event
from ferryman_server.state.event_rows import EventRow
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.tasks import cancel
from tests.support.core import until

ONE: Final = "a" * 26
OTHER: Final = "b" * 26


def state_in(folder: Path) -> SqliteState:
    """A state that is not open."""
    return SqliteState(folder / "state.db", store_id="store", durable=False)


@asynccontextmanager
async def logging(
    folder: Path, *, killed: bool = False, pause: float = 0.0, **options: Any
) -> AsyncIterator[tuple[EventLog, SqliteState]]:
    """A process that tells events, for the length of the `async with`; then it ends well, or is killed."""
    state = state_in(folder)
    await state.open()
    log = EventLog(state.event_rows, pause=pause, **options)
    try:
        await log.open()
        yield log, state
        if not killed:
            await log.close()
    finally:
        if log._task is not None:
            await cancel([log._task])
        await state.close()


def tell(log: EventLog, *numbers: int, upload_id: str = ONE) -> list[int]:
    """Events that are told apart by a number; their seqs."""
    seqs = []
    for number in numbers:
        log.tell(Event("created", upload_id, float(number), {"number": number}))
        seqs.append(log.newest)
    return seqs


def told(events: Sequence[EventRow] | None) -> list[int | str]:
    """The numbers of events, or their names where they have none."""
    assert events is not None
    return [json.loads(event.data).get("number", event.name) for event in events]


def rows(folder: Path) -> list[EventRow]:
    """What is in the closed database."""
    connection = sqlite3.connect(folder / "state.db")
    try:
        found = connection.execute("SELECT seq, event FROM events ORDER BY seq").fetchall()
    finally:
        connection.close()
    read = [(seq, *json.loads(event)) for seq, event in found]
    return [EventRow(seq, name, data.get("upload"), json.dumps(data)) for seq, name, data in read]


async def stored(log: EventLog) -> None:
    """Wait until everything told is a row."""
    await until(lambda: log._stored == log.end)
