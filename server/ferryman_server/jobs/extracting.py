"""Bringing films into folders by jobs, for :class:`ferryman_server.media.extracting.Extractor`, which waits for each.

The extractor looks at the folder again after a failure and at every start, so a job is done once, whatever comes of it.
A job that a server left behind is done when the next one starts; nobody waits for it then.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ferryman_server.jobs.errors import JobFailed
from ferryman_server.jobs.messages import Request
from ferryman_server.jobs.worker import Worker
from ferryman_server.media.extraction import ExtractionFailed, NoRoom
from ferryman_server.state.media import Medium
from ferryman_server.state.outbox import Job, Outbox

EXTRACT: Final = "extract"
_AT_ONCE: Final = 0.0  # when it is due, seconds since the epoch: before all that is made to be looked at


class ExtractJobs:
    """Puts such jobs into the outbox, and is their handler."""

    def __init__(self, outbox: Outbox, wake: Callable[[], None]) -> None:
        """`wake` tells whoever does jobs that there is one."""
        self._outbox = outbox
        self._wake = wake
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def extract(self, medium: Medium, folder: Path) -> None:
        """Bring a film into a folder. Raises ExtractionFailed and StateError."""
        data = json.dumps({"generation": medium.generation, "folder": str(folder)})
        done = self._waiting[medium.slug] = asyncio.get_running_loop().create_future()
        try:
            await self._outbox.add([Job(EXTRACT, medium.slug, data)], _AT_ONCE)
            self._wake()
            await done
        finally:
            self._waiting.pop(medium.slug, None)

    async def do(self, job: Job, worker: Worker) -> None:
        """Have it done, and tell whoever waits for it."""
        try:
            answer = await worker.ask(Request(EXTRACT, job.key, json.loads(job.data)))
        except JobFailed as failure:
            self._tell(job, ExtractionFailed(failure.reason))
        else:
            self._tell(job, _failure(answer))

    async def give_up(self, job: Job, reason: str) -> None:
        """Tell whoever waits for it."""
        self._tell(job, ExtractionFailed(reason))

    def _tell(self, job: Job, failure: ExtractionFailed | None) -> None:
        waiting = self._waiting.get(job.key)
        if waiting is None or waiting.done():
            return
        if failure is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(failure)


def _failure(answer: Mapping[str, Any]) -> ExtractionFailed | None:
    if "reason" not in answer:
        return None
    return (NoRoom if answer["no_room"] else ExtractionFailed)(answer["reason"])
