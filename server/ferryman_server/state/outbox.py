"""The outbox: work that must survive a crash, written in the transaction that causes it.

The contract is that of :mod:`.base`: a method that returns has committed durably, one that raises (StateError) has
changed nothing. Work is done at least once: whoever takes a job may die over it, and then it is freed at the next start
and taken again. So a job done twice must be as good as done once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Job:
    """Work to be done. Of one kind, a key is there once."""

    kind: str
    key: str
    data: str = "{}"  # JSON


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job in the outbox."""

    id: int  # rises, and is never given twice
    job: Job
    created_at: float  # seconds since the epoch, as all times here
    due_at: float
    attempts: int = 0  # that have failed
    reason: str | None = None  # of the last failure
    failed_at: float | None = None  # given up since then


class Outbox(Protocol):
    """What every backend's outbox does."""

    async def add(self, jobs: Sequence[Job], now: float) -> None:
        """Put jobs in, due at once. One whose kind and key are there takes that one's place, also if it has been taken:
        it is done once more, and the end of the first is of no account."""

    async def jobs(self, limit: int) -> Sequence[QueuedJob]:
        """Those that nobody has taken and that were not given up; the first due first, future ones included."""

    async def take(self, job_id: int, now: float) -> bool:
        """Take a job. False: it is gone, taken or given up."""

    async def finish(self, job_id: int) -> None:
        """It is done, or nobody wants it any more: forget it. Idempotent."""

    async def fail(self, job_id: int, reason: str, now: float, again_at: float | None) -> None:
        """It failed: another attempt is due at `again_at`; None: it is given up, and kept for people to see. Ignored if
        the job is gone."""

    async def given_up(self, limit: int) -> Sequence[QueuedJob]:
        """Those that were given up, the latest first."""

    async def free_taken(self) -> int:
        """Let all jobs that were taken be taken again: who took them is gone. How many there were."""
