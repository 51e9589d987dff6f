"""Jobs in a real outbox, done by a real process that does as it is told."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ferryman_server.jobs.messages import Request
from ferryman_server.jobs.runner import Jobs
from ferryman_server.jobs.worker import Worker
from ferryman_server.settings import Settings
from ferryman_server.state.outbox import Job, Outbox
from ferryman_server.state.sqlite import SqliteState

CHILD = Path(__file__).with_name("a_child.py")


def worker(folder: Path, *, patience: float = 30.0) -> Worker:
    """A process that notes in this folder what it does."""
    command = (sys.executable, str(CHILD), str(folder / "done"))
    return Worker(Settings(data=folder), command=command, patience=patience)


def done(folder: Path) -> list[tuple[int, str, str]]:
    """Process, kind and key of everything that was asked of such processes."""
    note = folder / "done"
    lines = [line.split(" ", 2) for line in note.read_text().splitlines()] if note.exists() else []
    return [(int(pid), kind, key) for pid, kind, key in lines]


class Noting:
    """A handler that asks for the job, and notes what came of it."""

    def __init__(self) -> None:
        self.results: list[object] = []
        self.given_up: list[tuple[str, str]] = []

    async def do(self, job: Job, worker: Worker) -> None:
        """Ask for it."""
        self.results.append((await worker.ask(Request(job.kind, job.key, {})))["key"])

    async def give_up(self, job: Job, reason: str) -> None:
        """Note it."""
        self.given_up.append((job.key, reason))


class Rig:
    """A running server's jobs."""

    def __init__(self, folder: Path, outbox: Outbox, idle: float) -> None:
        self.folder = folder
        self.outbox = outbox
        self.now = 1000.0
        self.handler = Noting()
        self.worker = worker(folder)
        self.told: list[tuple[str, str]] = []
        self.jobs = Jobs(
            outbox,
            self.worker,
            {"work": self.handler},
            clock=lambda: self.now,
            told=lambda kind, outcome: self.told.append((kind, outcome)),
            idle=idle,
        )

    async def add(self, *keys: str) -> None:
        """Put jobs in, and say so."""
        await self.outbox.add([Job("work", key) for key in keys], self.now)
        self.jobs.wake()

    async def pass_time(self, seconds: float) -> None:
        """So much later, somebody looks."""
        self.now += seconds
        self.jobs.wake()


@asynccontextmanager
async def at_work(folder: Path, *, idle: float = 60.0) -> AsyncIterator[Rig]:
    """A server that does jobs for the length of the `async with`, on what an earlier one has left in this folder."""
    state = SqliteState(folder / "state.db", store_id="s")
    await state.open()
    try:
        rig = Rig(folder, state.outbox, idle)
        async with rig.jobs.at_work():
            yield rig
    finally:
        await state.close()


async def until(check: Callable[[], bool]) -> None:
    """Wait for something that is about to be so."""
    for _ in range(3000):
        if check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")
