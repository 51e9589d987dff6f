"""The jobs process as the server has it."""

import asyncio
import sys
from pathlib import Path

import pytest

from ferryman_server.jobs.errors import JobFailed, WorkerDied
from ferryman_server.jobs.messages import Request
from ferryman_server.jobs.worker import Worker
from ferryman_server.settings import Settings
from tests.server.jobs.jobs_rig import done, until, worker


async def test_the_first_request_starts_it_and_the_next_ones_use_it(tmp_path: Path) -> None:
    """Nothing runs before somebody asks."""
    process = worker(tmp_path)
    assert not process.running
    assert await process.ask(Request("work", "a", {"n": 1})) == {"key": "a", "n": 1}
    assert process.running
    assert await process.ask(Request("work", "b", {})) == {"key": "b"}
    await process.stop()
    assert not process.running
    assert len({pid for pid, _, _ in done(tmp_path)}) == 1


async def test_after_its_end_another_one_is_started(tmp_path: Path) -> None:
    """Stopped or dead: whoever asks next does not notice."""
    process = worker(tmp_path)
    await process.ask(Request("work", "a", {}))
    await process.stop()
    with pytest.raises(WorkerDied, match="ended with exit code 7"):
        await process.ask(Request("work", "die", {}))
    assert await process.ask(Request("work", "b", {})) == {"key": "b"}
    await process.stop()
    assert len({pid for pid, _, _ in done(tmp_path)}) == 3


async def test_a_job_that_fails_says_why_and_ends_nothing(tmp_path: Path) -> None:
    """The process goes on."""
    process = worker(tmp_path)
    with pytest.raises(JobFailed, match="no luck") as caught:
        await process.ask(Request("work", "fail", {}))
    assert caught.value.again
    assert process.running
    await process.stop()


async def test_what_takes_too_long_ends_the_process(tmp_path: Path) -> None:
    """A decoder that never comes back must not keep all others from being done."""
    process = worker(tmp_path, patience=0.5)
    with pytest.raises(WorkerDied, match="not done within"):
        await process.ask(Request("work", "hang", {}))
    assert not process.running
    await process.stop()


async def test_who_does_not_want_to_wait_ends_the_process(tmp_path: Path) -> None:
    """A server that stops leaves nothing behind."""
    process = worker(tmp_path)
    asking = asyncio.create_task(process.ask(Request("work", "hang", {})))
    await until(lambda: bool(done(tmp_path)))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not process.running


async def test_a_process_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    """In words, and as something that may be better later."""
    with pytest.raises(WorkerDied, match="cannot be started: No such file or directory"):
        await Worker(Settings(data=tmp_path), command=[str(tmp_path / "none")]).ask(Request("work", "a", {}))


async def test_a_process_that_ends_at_once_is_told(tmp_path: Path) -> None:
    """Whatever it has against being started."""
    process = Worker(Settings(data=tmp_path), command=[sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(WorkerDied, match="ended with exit code 3"):
        await process.ask(Request("work", "a", {}))
    await process.stop()
