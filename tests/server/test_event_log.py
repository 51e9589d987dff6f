"""Numbers that are never used twice, and events that outlive their process: on a real database, through every end."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from ferryman_server.event_log import KEPT, LATEST, EventLog
from ferryman_server.events import Event
from ferryman_server.state.base import StateError
from ferryman_server.state.event_rows import EventRow
from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.testing_records import new_record
from ferryman_server.tasks import cancel
from tests.support.core import until

ONE, OTHER = "a" * 26, "b" * 26


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
        return [
            EventRow(*row) for row in connection.execute("SELECT seq, name, upload_id, data FROM events ORDER BY seq")
        ]
    finally:
        connection.close()


async def stored(log: EventLog) -> None:
    """Wait until everything told is a row."""
    await until(lambda: log._stored == log.end)


async def test_events_come_back_after_a_graceful_end(tmp_path: Path) -> None:
    """All of them, those told in the last moment included, and a listener goes on from any."""
    async with logging(tmp_path, pause=60.0) as (log, _):
        seqs = tell(log, 1, 2, 3)
    async with logging(tmp_path) as (log, _):
        for index, seq in enumerate(seqs):
            place = log.after(seq)
            assert place is not None
            assert told(log.since(place, 10)) == [1, 2, 3][index + 1 :]
        assert log.newest == seqs[-1]


async def test_a_row_is_what_was_told(tmp_path: Path) -> None:
    """Its JSON has the number, the upload and the time beside the event's own data."""
    async with logging(tmp_path) as (log, _):
        log.tell(Event("failed", ONE, 12.5, {"reason": 'no\n"good" \u2028'}))
        seq = log.newest
    row = rows(tmp_path)[-1]
    assert (row.seq, row.name, row.upload_id) == (seq, "failed", ONE)
    assert json.loads(row.data) == {"seq": seq, "upload": ONE, "at": 12.5, "reason": 'no\n"good" \u2028'}


async def test_numbers_rise_through_ends_of_any_kind(tmp_path: Path) -> None:
    """Also those told by a killed process that were never rows, with a clock that stands still or goes back."""
    seqs: list[int] = []
    for clock, killed in ((1000.0, True), (1000.0, False), (5.0, True), (5.0, True), (2000.0, False)):
        async with logging(tmp_path, clock=partial(float, clock), killed=killed, pause=60.0, block=8) as (log, _):
            seqs += [log.newest, *tell(log, 1, 2)]
    rising = [seq for index, seq in enumerate(seqs) if index == 0 or seq != seqs[index - 1]]
    assert rising == sorted(set(seqs))
    assert len(rising) >= len(seqs) - 1  # a graceful end alone lets the next process begin where it stopped


@pytest.mark.parametrize("clock", [0.0, 1.0, 1.8e9, 1e12, 1e300])
async def test_numbers_are_ones_that_javascript_has(tmp_path: Path, clock: float) -> None:
    """Whatever the clock says."""
    async with logging(tmp_path, clock=lambda: clock) as (log, _):
        assert all(0 < seq < 1 << 53 for seq in tell(log, 1, 2))
        assert log.newest <= LATEST + 10


async def test_another_database_does_not_know_the_number(tmp_path: Path) -> None:
    """Two that have told as many events each."""
    seqs: list[int] = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        async with logging(tmp_path / name) as (log, _):
            assert all(log.after(seq) is None for seq in seqs)
            seqs += tell(log, 1, 2, 3)


async def test_a_kill_costs_what_was_no_row_and_the_next_process_says_so(tmp_path: Path) -> None:
    """Behind what came back there is a reset: whoever heard more, or less, has to look how things stand."""
    async with logging(tmp_path, killed=True) as (log, _):
        safe = tell(log, 1, 2)
        await stored(log)
        (lost,) = tell(log, 3)
    async with logging(tmp_path) as (log, _):
        place = log.after(safe[0])
        assert place is not None
        assert told(log.since(place, 10)) == [2, "reset"]
        assert log.after(lost) is None
        assert log.newest > lost


async def test_a_log_begins_with_a_reset_where_nothing_is_known(tmp_path: Path) -> None:
    """A new database, or one from before there were events: it is a row before anything is told."""
    async with logging(tmp_path, killed=True) as (log, _):
        assert told(log.since(0, 10)) == ["reset"]
    assert [row.name for row in rows(tmp_path)] == ["reset"]


@pytest.mark.parametrize("graceful_ends", [1, 3])
async def test_graceful_ends_leave_no_reset(tmp_path: Path, graceful_ends: int) -> None:
    """Nor does a process that told nothing."""
    for _ in range(graceful_ends):
        async with logging(tmp_path):
            pass
    async with logging(tmp_path) as (log, _):
        assert told(log.since(0, 10)) == ["reset"]


async def test_whoever_else_opened_the_database_may_have_changed_it(tmp_path: Path) -> None:
    """`ferryman gc` between two servers deletes uploads and tells nobody; one that only reads changes nothing."""
    async with logging(tmp_path) as (log, _):
        tell(log, 1)
    reader = SqliteState(tmp_path / "state.db", store_id=None, readonly=True)
    await reader.open()
    await reader.close()
    async with logging(tmp_path) as (log, _):
        assert told(log.since(0, 10)) == ["reset", 1]
    writer = state_in(tmp_path)
    await writer.open()
    await writer.close()
    async with logging(tmp_path) as (log, _):
        assert told(log.since(0, 10)) == ["reset", 1, "reset"]


async def test_many_events_are_few_commits(tmp_path: Path) -> None:
    """What is told together is stored together, and what comes meanwhile with the next."""
    async with logging(tmp_path, pause=0.05) as (log, state):
        before = state.batches
        for _ in range(20):
            tell(log, *range(50))
            await asyncio.sleep(0.001)
        await stored(log)
        assert 1 <= state.batches - before <= 3
    assert len(rows(tmp_path)) == 1001


async def test_what_is_told_during_a_commit_is_stored_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is taken for stored that is not."""
    async with logging(tmp_path) as (log, _):
        store, gate = log._rows.store, asyncio.Event()

        async def slow(*args: Any, **kwargs: Any) -> None:
            await store(*args, **kwargs)
            await gate.wait()

        monkeypatch.setattr(log._rows, "store", slow)
        seqs = tell(log, 1)
        await asyncio.sleep(0.01)
        seqs += tell(log, 2, 3)
        gate.set()
        await stored(log)
    assert [row.seq for row in rows(tmp_path)][1:] == seqs


async def test_events_share_the_commit_of_uploads(tmp_path: Path) -> None:
    """While uploads are being committed, events cost no commit of their own."""
    async with logging(tmp_path) as (log, state):
        before = state.batches
        creating = asyncio.gather(*(state.create(new_record()) for _ in range(5)))
        storing = asyncio.gather(state.event_rows.store([EventRow(log.newest + 1, "created", ONE, "{}")], oldest=0))
        await asyncio.gather(creating, storing)
        assert state.batches == before + 1


async def test_the_newest_stay_in_memory_and_as_rows(tmp_path: Path) -> None:
    """Older ones are gone from both; a reader that was there is told."""
    async with logging(tmp_path, kept=20, pause=0.001) as (log, _):
        seqs = [seq for number in range(0, 200, 10) for seq in tell(log, *range(number, number + 10))]
        assert log.since(0, 10) is None
        assert log.after(seqs[0]) is None
        newest = log.since(log.end - 20, 100)
        assert told(newest) == list(range(180, 200))
        assert log.after(seqs[-20]) == log.end - 19
    assert [row.seq for row in rows(tmp_path)] == seqs[-20:]
    async with logging(tmp_path, kept=20) as (log, _):
        assert log.after(seqs[-20]) is not None
        assert log.after(seqs[-21]) is None


async def test_ten_thousand_are_kept(tmp_path: Path) -> None:
    """By default, and not many more."""
    async with logging(tmp_path) as (log, _):
        tell(log, *range(KEPT + 5000))
        assert len(log._entries) <= KEPT * 9 // 8
    assert len(rows(tmp_path)) == KEPT == 10_000
    async with logging(tmp_path) as (log, _):
        assert log.end == KEPT


async def test_a_database_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost but the time, and the log says it once."""
    async with logging(tmp_path, pause=0.001) as (log, state):
        writer = state._writer
        assert writer is not None
        submit, failures = writer.submit, 3

        def failing(*args: Any, **kwargs: Any) -> Any:
            nonlocal failures
            if failures:
                failures -= 1
                raise StateError("the disk is full")
            return submit(*args, **kwargs)

        monkeypatch.setattr(writer, "submit", failing)
        with structlog.testing.capture_logs() as logs:
            seqs = tell(log, 1, 2)
            await until(lambda: not failures)
            seqs += tell(log, 3)
            await stored(log)
        assert [(entry["log_level"], entry["error"]) for entry in logs] == [("warning", "the disk is full")]
    assert [row.seq for row in rows(tmp_path)][1:] == seqs


async def test_an_end_that_cannot_store_is_no_graceful_one(tmp_path: Path) -> None:
    """The process ends all the same, and the next one begins with a reset."""
    async with logging(tmp_path, pause=60.0) as (log, state):
        (lost,) = tell(log, 1)
        await state.close()
        with structlog.testing.capture_logs() as logs:
            await log.close()
        assert [entry["log_level"] for entry in logs] == ["warning"]
    async with logging(tmp_path) as (log, _):
        assert told(log.since(0, 10)) == ["reset", "reset"]
        assert log.newest > lost


async def test_numbers_that_run_out_are_reserved_in_time(tmp_path: Path) -> None:
    """With the commits of the events, without a commit of their own."""
    async with logging(tmp_path, block=64, pause=0.001) as (log, _):
        seqs: list[int] = []
        for number in range(20):
            seqs += tell(log, *range(number * 20, number * 20 + 20))
            await stored(log)
        assert seqs == list(range(seqs[0], seqs[0] + 400))
        assert told(log.since(1, 500)) == list(range(400))


async def test_without_a_number_nothing_is_told_and_a_reset_follows(tmp_path: Path) -> None:
    """Numbers that were not reserved might be used by the next process; so listeners are sent to look."""
    async with logging(tmp_path, block=4, pause=0.01) as (log, _):
        tell(log, *range(10))
        assert told(log.since(1, 10)) == [0, 1, 2]  # the first number is that of the reset at the beginning
        await stored(log)
        await until(lambda: not log._lost)
        assert told(log.since(1, 10)) == [0, 1, 2, "reset"]
        tell(log, 10)
        assert told(log.since(1, 10)) == [0, 1, 2, "reset", 10]


async def test_a_reset_that_is_owed_outlives_a_graceful_end(tmp_path: Path) -> None:
    """The next process tells of the hole."""
    async with logging(tmp_path, block=4, pause=60.0) as (log, _):
        seqs = tell(log, *range(10))
    async with logging(tmp_path) as (log, _):
        assert told(log.since(0, 10)) == ["reset", 0, 1, 2, "reset"]
        assert log.newest > max(seqs)


async def test_what_json_has_not_takes_no_number(tmp_path: Path) -> None:
    """The publisher hears of it, and nobody else."""
    async with logging(tmp_path) as (log, _):
        (first,) = tell(log, 1)
        with pytest.raises(TypeError):
            log.tell(Event("created", ONE, 1.0, {"number": b"2"}))
        assert tell(log, 3) == [first + 1]


async def test_nothing_is_told_before_the_beginning_or_after_the_end(tmp_path: Path) -> None:
    """And closing twice is closing once."""
    state = state_in(tmp_path)
    await state.open()
    log = EventLog(state.event_rows)
    log.tell(Event("created", ONE, 1.0))
    assert log.end == 0
    await log.open()
    await log.close()
    tell(log, 2)
    await log.close()
    await state.close()
    assert [row.name for row in rows(tmp_path)] == ["reset"]


async def test_readers_are_called_when_there_is_more(tmp_path: Path) -> None:
    """Once for each event."""
    calls: list[int] = []
    async with logging(tmp_path, on_more=lambda: calls.append(1)) as (log, _):
        calls.clear()
        tell(log, 1, 2, 3)
        assert len(calls) == 3
