"""Progress lines for long uploads: percent, speed and time left, at most one every ten seconds an upload.

An upload that is over within ten seconds gets no line. Speed is taken over the time since the upload's last line; after
a pause or a step back (bytes that have to be sent again) the measurement starts anew.
"""

from dataclasses import dataclass
from typing import Final

import structlog

from ferryman_server.events import Event
from ferryman_server.humane import human_duration, human_size

INTERVAL: Final = 10.0  # seconds between two lines of one upload, and the longest gap that is not a pause
_ENDS: Final = ("complete", "failed", "terminated", "expired")

log = structlog.get_logger("ferryman.progress")


@dataclass(slots=True)
class _Course:
    """Where an upload's measurement began, and when it was last heard of."""

    offset: int
    since: float
    heard: float


class ProgressLog:
    """Writes the lines; subscribe :meth:`listen` to the events, or call :meth:`feed` and :meth:`forget`."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._courses: dict[str, _Course] = {}

    def listen(self, event: Event) -> None:
        """Take what an event tells."""
        if event.name == "progress":
            offset, length = event.data.get("offset"), event.data.get("length")
            if isinstance(offset, int):
                self.feed(event.upload_id, offset, length if isinstance(length, int) else None, event.at)
        elif event.name in _ENDS:
            self.forget(event.upload_id)

    def feed(self, upload_id: str, offset: int, length: int | None, now: float) -> None:
        """Note that the upload stands at `offset` of `length` bytes at `now` (seconds), and log when a line is due."""
        course = self._courses.get(upload_id)
        if course is None or offset < course.offset or not 0 <= now - course.heard <= self._interval:
            self._courses[upload_id] = _Course(offset, now, now)
            return
        course.heard = now
        elapsed = now - course.since
        if elapsed >= self._interval:
            _write(upload_id, offset, length, (offset - course.offset) / elapsed)
            course.offset, course.since = offset, now

    def forget(self, upload_id: str) -> None:
        """The upload is over."""
        self._courses.pop(upload_id, None)


def _write(upload_id: str, offset: int, length: int | None, speed: float) -> None:
    figures: dict[str, object] = {"received": human_size(offset), "speed": f"{speed / 1e6:.1f} MB/s"}
    if length:
        figures["percent"] = round(100 * offset / length, 1)
        if speed > 0:
            figures["eta"] = human_duration((length - offset) / speed)
    log.info("receiving", upload_id=upload_id, **figures)
