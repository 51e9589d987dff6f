"""Doing what is in the outbox."""

from pathlib import Path

from ferryman_server.jobs.runner import ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE
from ferryman_server.state.outbox import Job
from tests.server.jobs.jobs_rig import at_work, done, until


async def test_jobs_are_done_one_after_the_other_and_forgotten(tmp_path: Path) -> None:
    """In the order in which they are due, by one process."""
    async with at_work(tmp_path) as rig:
        await rig.add("a", "b", "c")
        await until(lambda: len(rig.told) == 3)
        assert rig.handler.results == ["a", "b", "c"]
        assert rig.told == [("work", "done")] * 3
        assert list(await rig.outbox.jobs(9)) == []
    assert len({pid for pid, _, _ in done(tmp_path)}) == 1


async def test_without_a_job_no_process_is_started(tmp_path: Path) -> None:
    """Also if somebody thinks that there is one."""
    async with at_work(tmp_path) as rig:
        rig.jobs.wake()
        await rig.outbox.add([Job("work", "later")], rig.now + 100)
        await rig.pass_time(50)
        assert not rig.worker.running
    assert done(tmp_path) == []


async def test_the_process_ends_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    """And the next job starts another one."""
    async with at_work(tmp_path, idle=0.3) as rig:
        await rig.add("a")
        await until(lambda: len(rig.told) == 1)
        await until(lambda: not rig.worker.running)
        await rig.add("b")
        await until(lambda: len(rig.told) == 2)
    assert len({pid for pid, _, _ in done(tmp_path)}) == 2


async def test_the_process_ends_while_the_next_job_is_not_due(tmp_path: Path) -> None:
    """A job that waits for its next attempt holds nothing."""
    async with at_work(tmp_path, idle=0.3) as rig:
        await rig.add("fail")
        await until(lambda: rig.told == [("work", "failed")])
        await until(lambda: not rig.worker.running)
        (waiting,) = await rig.outbox.jobs(9)
        assert (waiting.reason, waiting.due_at) == ("no luck", rig.now + FIRST_PAUSE)


async def test_what_was_taken_when_a_server_died_is_done_by_the_next(tmp_path: Path) -> None:
    """At least once is what is promised."""
    async with at_work(tmp_path) as rig:
        await rig.outbox.add([Job("work", "a")], rig.now)
        (queued,) = await rig.outbox.jobs(9)
        assert await rig.outbox.take(queued.id, rig.now)
    async with at_work(tmp_path) as rig:
        await until(lambda: rig.handler.results == ["a"])


async def test_what_fails_is_tried_later_and_later_and_given_up(tmp_path: Path) -> None:
    """Whoever waits for it is told at the end, once."""
    async with at_work(tmp_path) as rig:
        await rig.add("fail")
        pauses = []
        for attempt in range(1, ATTEMPTS):
            await until(lambda count=attempt: len(rig.told) == count)  # type: ignore[misc]
            (waiting,) = await rig.outbox.jobs(9)
            pauses.append(waiting.due_at - rig.now)
            assert not rig.handler.given_up
            await rig.pass_time(pauses[-1])
        await until(lambda: rig.handler.given_up == [("fail", "no luck")])
        assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
        assert max(pauses) == LONGEST_PAUSE
        assert rig.told == [("work", "failed")] * (ATTEMPTS - 1) + [("work", "given up")]
        assert [given.reason for given in await rig.outbox.given_up(9)] == ["no luck"]


async def test_what_kills_the_process_twice_is_given_up(tmp_path: Path) -> None:
    """A file that crashes a decoder must not do so for ever; what comes behind it is done."""
    async with at_work(tmp_path) as rig:
        await rig.add("die", "b")
        await until(lambda: rig.handler.results == ["b"])
        await rig.pass_time(FIRST_PAUSE)
        await until(lambda: [key for key, _ in rig.handler.given_up] == ["die"])
        assert [key for _, _, key in done(tmp_path)] == ["die", "b", "die"]


async def test_a_kind_that_nobody_knows_is_given_up(tmp_path: Path) -> None:
    """A newer server may have left it; it is kept for people to see."""
    async with at_work(tmp_path) as rig:
        await rig.outbox.add([Job("dance", "a")], rig.now)
        rig.jobs.wake()
        await until(lambda: rig.told == [("dance", "given up")])
        (given,) = await rig.outbox.given_up(9)
        assert given.reason == "this server does no jobs of the kind dance"


async def test_a_job_that_is_put_in_again_while_it_is_done_is_done_again(tmp_path: Path) -> None:
    """What was asked for last counts."""
    async with at_work(tmp_path) as rig:
        await rig.outbox.add([Job("work", "a")], rig.now)
        (queued,) = await rig.outbox.jobs(9)
        assert await rig.outbox.take(queued.id, rig.now)  # as the one that is at it
        await rig.add("a")
        await until(lambda: rig.handler.results == ["a"])
        await rig.outbox.finish(queued.id)
        assert list(await rig.outbox.jobs(9)) == []
