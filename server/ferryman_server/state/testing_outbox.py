"""What every state backend promises about its outbox; part of :class:`MediaTests`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ferryman_server.state.base import State
from ferryman_server.state.outbox import Job


class OutboxTests:
    """Work that is done at least once."""

    def make(self, place: Path) -> State:
        """A backend that is not open yet; the same place means the same data."""
        raise NotImplementedError

    @pytest.fixture
    async def state(self, tmp_path: Path) -> AsyncIterator[State]:
        """An open, empty backend."""
        state = self.make(tmp_path)
        await state.open()
        yield state
        await state.close()

    async def test_jobs_wait_in_order_until_they_are_done(self, state: State, tmp_path: Path) -> None:
        """The first due comes first, whole, also in the next process; a job that is finished is gone."""
        outbox = state.outbox
        await outbox.add([Job("poster", "b", '{"n": 1}'), Job("sheet", "b")], 5.0)
        await outbox.add([Job("poster", "a")], 4.0)
        await state.close()
        again = self.make(tmp_path)
        await again.open()
        try:
            jobs = list(await again.outbox.jobs(10))
            assert [job.job for job in jobs] == [Job("poster", "a"), Job("poster", "b", '{"n": 1}'), Job("sheet", "b")]
            assert [(job.created_at, job.due_at) for job in jobs] == [(4.0, 4.0), (5.0, 5.0), (5.0, 5.0)]
            assert list(await again.outbox.jobs(2)) == jobs[:2]
            await again.outbox.finish(jobs[1].id)
            await again.outbox.finish(jobs[1].id)
            assert list(await again.outbox.jobs(10)) == [jobs[0], jobs[2]]
        finally:
            await again.close()

    async def test_job_is_taken_once(self, state: State) -> None:
        """Who takes it has it; nobody else sees it, until it is freed."""
        outbox = state.outbox
        await outbox.add([Job("poster", "a"), Job("poster", "b")], 1.0)
        first, second = await outbox.jobs(10)
        assert await outbox.take(first.id, 2.0)
        assert not await outbox.take(first.id, 2.0)
        assert not await outbox.take(first.id + 1000, 2.0)
        assert list(await outbox.jobs(10)) == [second]
        assert await outbox.free_taken() == 1
        assert await outbox.free_taken() == 0
        assert list(await outbox.jobs(10)) == [first, second]

    async def test_failed_job_is_due_again_or_given_up(self, state: State) -> None:
        """Each failure is counted, with its reason; a job that was given up is kept for people to see."""
        outbox = state.outbox
        await outbox.add([Job("poster", "a"), Job("poster", "b")], 1.0)
        job, other = await outbox.jobs(10)
        await outbox.take(job.id, 2.0)
        await outbox.fail(job.id, "no memory", 3.0, 50.0)
        assert [(each.id, each.due_at, each.attempts, each.reason) for each in await outbox.jobs(10)] == [
            (other.id, 1.0, 0, None),
            (job.id, 50.0, 1, "no memory"),
        ]
        await outbox.take(job.id, 51.0)
        await outbox.fail(job.id, "no picture", 52.0, None)
        await outbox.fail(job.id + 1000, "gone", 52.0, None)
        assert list(await outbox.jobs(10)) == [other]
        assert not await outbox.take(job.id, 53.0)
        assert await outbox.free_taken() == 0
        (lost,) = await outbox.given_up(10)
        assert (lost.id, lost.attempts, lost.reason, lost.failed_at) == (job.id, 2, "no picture", 52.0)
        await outbox.finish(job.id)
        assert list(await outbox.given_up(10)) == []

    @pytest.mark.parametrize("now", ["waiting", "taken", "given up"])
    async def test_same_job_again_takes_its_place(self, state: State, now: str) -> None:
        """Of one kind, a key is there once: the newer counts, and the end of the older says nothing about it."""
        outbox = state.outbox
        await outbox.add([Job("poster", "a", '"old"'), Job("sheet", "a")], 1.0)
        old, sheet = await outbox.jobs(10)
        if now != "waiting":
            await outbox.take(old.id, 2.0)
        if now == "given up":
            await outbox.fail(old.id, "no picture", 3.0, None)
        await outbox.add([Job("poster", "a", '"new"')], 4.0)
        found = list(await outbox.jobs(10))
        assert [job.job for job in found] == [sheet.job, Job("poster", "a", '"new"')]
        await outbox.finish(old.id)
        await outbox.fail(old.id, "late", 5.0, None)
        assert list(await outbox.jobs(10)) == found
        assert list(await outbox.given_up(10)) == []
