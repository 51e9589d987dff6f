"""Doing what is in the outbox, one job after the other, in the jobs process.

A job is taken, asked for, recorded by its handler, and forgotten. Where a server or the process dies in between, it is
done again: handlers and workflows are made for that. What fails is tried again, later and later, and given up in the
end; a job over which the process died twice in this server's life is given up at once. The process is ended when there
was nothing to do for a while. Nothing is looked for while there is nothing to do.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from ferryman_server.jobs.errors import JobFailed, WorkerDied
from ferryman_server.jobs.worker import Worker
from ferryman_server.state.outbox import Job, Outbox, QueuedJob
from ferryman_server.tasks import cancel

log = structlog.get_logger("ferryman.jobs")

IDLE: Final = 60.0  # seconds without a job after which the process is ended
ATTEMPTS: Final = 14  # of which the last is about three hours after the first
FIRST_PAUSE: Final = 2.0  # seconds until the second attempt; then twice as long each time …
LONGEST_PAUSE: Final = 3600.0  # … up to this
DEATHS: Final = 2
_MOMENT: Final = 0.1  # seconds in which what is more urgent may be put in: a film's folder goes before its previews
_STATE_AWAY: Final = 5.0  # seconds until it is asked again


class Handler(Protocol):
    """What is done about one kind of job."""

    async def do(self, job: Job, worker: Worker) -> None:
        """Do it, all of it. Raises JobFailed."""

    async def give_up(self, job: Job, reason: str) -> None:
        """It will not be done: tell whoever waits for it."""


class Jobs:
    """Takes jobs out of the outbox. Everything is done on the event loop."""

    def __init__(
        self,
        outbox: Outbox,
        worker: Worker,
        handlers: Mapping[str, Handler],
        *,
        clock: Callable[[], float],
        told: Callable[[str, str], None] = lambda kind, outcome: None,
        idle: float = IDLE,
    ) -> None:
        """`clock`: seconds since the epoch; `told`: hears the kind of each job, and whether it was `done`, `failed` or
        `given up`."""
        self._outbox = outbox
        self._worker = worker
        self._handlers = handlers
        self._clock = clock
        self._told = told
        self._idle = idle
        self._more = asyncio.Event()
        self._deaths: dict[tuple[str, str], int] = {}

    def wake(self) -> None:
        """There may be a job."""
        self._more.set()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Run for the length of the `async with`; the process ends with it."""
        running = asyncio.create_task(self.run())
        try:
            yield
        finally:
            await cancel([running])
            await self._worker.stop()

    async def run(self) -> None:
        """Do what there is, until cancelled."""
        freed = False
        while True:
            try:
                if not freed:  # by whoever had them before
                    await self._outbox.free_taken()
                    freed = True
                pause = await self._next()
            except Exception as failure:  # the state is away
                log.warning("jobs cannot be looked up, it is tried again", error=str(failure))
                pause = _STATE_AWAY
            if pause is None or pause > 0:
                await self._rest(pause)

    async def _next(self) -> float | None:
        """Do the next job, if one is due. Seconds until the next one may be; None: there is none."""
        self._more.clear()
        await asyncio.sleep(_MOMENT)
        waiting = await self._outbox.jobs(1)
        if not waiting:
            return None
        (queued,) = waiting
        pause = queued.due_at - self._clock()
        if pause > 0:
            return pause
        if await self._outbox.take(queued.id, self._clock()):
            await self._do(queued)
        return 0

    async def _rest(self, pause: float | None) -> None:
        """Wait for a job, or until one is due. A process that does nothing is let go meanwhile."""
        if self._worker.running and (pause is None or pause > self._idle):
            if await self._woken(self._idle):
                return
            await self._worker.stop()
            pause = None if pause is None else pause - self._idle
        await self._woken(pause)

    async def _woken(self, within: float | None) -> bool:
        try:
            async with asyncio.timeout(within):
                await self._more.wait()
        except TimeoutError:
            return False
        return True

    async def _do(self, queued: QueuedJob) -> None:
        job = queued.job
        handler, began = self._handlers.get(job.kind), time.monotonic()
        try:
            if handler is None:
                raise JobFailed(f"this server does no jobs of the kind {job.kind}", again=False)
            await handler.do(job, self._worker)
        except JobFailed as failure:
            await self._failed(queued, handler, failure)
        else:
            self._deaths.pop((job.kind, job.key), None)
            await self._outbox.finish(queued.id)
            self._told(job.kind, "done")
            log.info("a job was done", kind=job.kind, key=job.key, seconds=round(time.monotonic() - began, 3))

    async def _failed(self, queued: QueuedJob, handler: Handler | None, failure: JobFailed) -> None:
        job, now = queued.job, self._clock()
        again = failure.again and queued.attempts + 1 < ATTEMPTS and not self._is_deadly(job, failure)
        pause = min(FIRST_PAUSE * 2**queued.attempts, LONGEST_PAUSE)
        await self._outbox.fail(queued.id, failure.reason, now, now + pause if again else None)
        self._told(job.kind, "failed" if again else "given up")
        what = "a job failed, it is tried again" if again else "a job is given up"
        log.warning(what, kind=job.kind, key=job.key, reason=failure.reason, attempts=queued.attempts + 1)
        if not again and handler is not None:
            self._deaths.pop((job.kind, job.key), None)
            await handler.give_up(job, failure.reason)

    def _is_deadly(self, job: Job, failure: JobFailed) -> bool:
        if not isinstance(failure, WorkerDied):
            return False
        deaths = self._deaths[job.kind, job.key] = self._deaths.get((job.kind, job.key), 0) + 1
        return deaths >= DEATHS
