"""The numbers of events: never used twice, and what a new process makes of those before it."""

from functools import partial
from pathlib import Path

import pytest

from ferryman_server.event_log import LATEST
from ferryman_server.events import Event
from ferryman_server.state.sqlite import SqliteState
from tests.server.event_log_rig import ONE, logging, rows, state_in, stored, tell, told
from tests.support.core import until


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
