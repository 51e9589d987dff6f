"""How long each stage of an archive's way to a medium took, for the log and the metrics. All in seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from ferryman_server.media.stage_names import Stage
from ferryman_server.metrics import Metrics
from ferryman_server.state.base import Record

log = structlog.get_logger("ferryman.indexing")


class Stages:
    """The stopwatches of one upload."""

    def __init__(self) -> None:
        self._seconds: dict[Stage, float] = {"wait": 0.0, "index": 0.0, "commit": 0.0, "publish": 0.0}

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """What happens inside the `with` belongs to this stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] += time.perf_counter() - began

    def ready(self, metrics: Metrics, record: Record, frames: int, now: float) -> None:
        """The medium is there: say so."""
        completed = record.completed_at or now
        seconds: dict[Stage, float] = dict(self._seconds)
        seconds |= {"receive": completed - record.created_at, "ready": now - completed}
        for stage, taken in seconds.items():
            metrics.archive_seconds[stage].observe(taken)
        told = {stage: round(taken, 4) for stage, taken in seconds.items()}
        log.info("frames are ready", upload_id=record.upload.id, frames=frames, seconds=told)
