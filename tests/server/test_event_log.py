"""Events that outlive their process: on a real database, through ends and failures."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from ferryman_server.event_log import KEPT, EventLog
from ferryman_server.events import Event
from ferryman_server.state.base import StateError
from ferryman_server.state.event_rows import EventRow
from ferryman_server.state.testing_records import new_record
from tests.server.event_log_rig import ONE, OTHER, logging, rows, state_in, stored, tell, told
from tests.support.core import until


async def test_events_come_back_after_a_graceful_end(tmp_path: Path) -> None:
    """All of them, those told in the last moment included, and a listener goes on from any."""
    async with logging(tmp_path, pause=60.0) as (log, _):
        seqs = tell(log, 1, 2, 3)
        log.tell(Event("failed", OTHER, 0.1 + 0.2, {"reason": 'é\n"\\ \u2028 \ud800', "x": [1e-7, None, -0.0]}))
        before = log.since(0, 10)
    async with logging(tmp_path) as (log, _):
        assert log.since(0, 10) == before
        for index, seq in enumerate(seqs):
            place = log.after(seq)
            assert place is not None
            assert told(log.since(place, 10)) == [1, 2, 3, "failed"][index + 1 :]
        assert log.newest == seqs[-1] + 1


async def test_a_row_is_what_was_told(tmp_path: Path) -> None:
    """Its JSON has the number, the upload and the time beside the event's own data."""
    async with logging(tmp_path) as (log, _):
        log.tell(Event("failed", ONE, 12.5, {"reason": 'no\n"good" \u2028'}))
        seq = log.newest
    row = rows(tmp_path)[-1]
    assert (row.seq, row.name, row.upload_id) == (seq, "failed", ONE)
    assert json.loads(row.data) == {"seq": seq, "upload": ONE, "at": 12.5, "reason": 'no\n"good" \u2028'}


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
        storing = asyncio.gather(state.event_rows.store([EventRow(log.newest + 1, "created", ONE, "{}")]))
        await asyncio.gather(creating, storing)
        assert state.batches == before + 1


async def test_the_newest_stay_in_memory_and_as_rows(tmp_path: Path) -> None:
    """Older ones go from both, many at once; a reader that was there is told."""
    async with logging(tmp_path, kept=80, pause=0.001) as (log, _):
        seqs: list[int] = []
        for number in range(0, 800, 10):
            seqs += tell(log, *range(number, number + 10))
            await stored(log)
            assert len(log._entries) <= 90
        assert log.since(0, 10) is None
        assert log.after(seqs[0]) is None
        assert told(log.since(log.end - 80, 100)) == list(range(720, 800))
        assert log.after(seqs[-80]) == log.end - 79
    left = [row.seq for row in rows(tmp_path)]
    assert left == seqs[-len(left) :]
    assert 80 <= len(left) <= 100
    async with logging(tmp_path, kept=80) as (log, _):
        assert log.after(seqs[-80]) is not None
        assert log.after(seqs[-81]) is None
    assert [row.seq for row in rows(tmp_path)] == seqs[-80:]


async def test_many_short_processes_leave_no_more_rows_than_one(tmp_path: Path) -> None:
    """Each tells less than what makes old ones go."""
    for _ in range(30):
        async with logging(tmp_path, kept=80) as (log, _):
            tell(log, *range(9))
    assert len(rows(tmp_path)) <= 90


async def test_ten_thousand_are_kept(tmp_path: Path) -> None:
    """By default, and not many more."""
    async with logging(tmp_path) as (log, _):
        tell(log, *range(KEPT + 5000))
        assert len(log._entries) <= KEPT * 9 // 8
    async with logging(tmp_path) as (log, _):
        assert log.end == KEPT == 10_000
    assert len(rows(tmp_path)) == 10_000


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
