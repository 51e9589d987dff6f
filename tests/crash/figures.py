"""What is counted and measured in a run, and the table it makes."""

import statistics
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.uploading import MIB

FORCES = ("kills", "stops", "connection faults", "disk faults", "store faults")
ROWS = (
    ("stalled upload taken over by a second client", "taken over, stalled"),
    ("upload taken over from a sender at full speed", "taken over, full speed"),
    ("HEAD during a PATCH", "HEAD during PATCH"),
    ("restart", "restart"),
    ("graceful stop", "stop"),
)


@dataclass
class Figures:
    """Counters and samples. Safe in threads."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, number: int = 1) -> None:
        """Something happened, so many times."""
        with self._lock:
            self.counts[what] += number

    def measure(self, what: str, value: float) -> None:
        """A sample: seconds or bytes."""
        with self._lock:
            self.samples.setdefault(what, []).append(value)

    def add(self, other: "Figures") -> None:
        """Take in the figures of another run."""
        with self._lock:
            self.counts.update(other.counts)
            for what, values in other.samples.items():
                self.samples.setdefault(what, []).extend(values)

    def summary(self) -> str:
        """One line."""
        names = ("uploads", "small uploads", *FORCES, "take-overs")
        return ", ".join(f"{self.counts[name]} {name}" for name in names)

    def table(self) -> str:
        """The whole, as a Markdown table."""
        count = self.counts
        faults = " / ".join(str(count[name]) for name in FORCES)
        rows = [
            ("uploads, of them at most 16 KiB", f"{count['uploads']}, {count['small uploads']}"),
            ("kills / graceful stops / faults of connections / of the disk / of MinIO", faults),
            ("take-overs / deletions / observers' questions", self._others()),
            ("checks of offsets after a start / of unfinished bytes / of downloads", self._checks()),
            ("acknowledged bytes lost, finished uploads with wrong content", "0, 0 (one would end the run)"),
            ("process ended by itself", "0 (once would end the run)"),
            *((f"{name}, p50 / max s", seconds(self.samples.get(key, ()))) for name, key in ROWS),
            ("PATCH broken by a HEAD or another observer", f"0 of {count['HEADs during PATCH']}"),
            ("sent again after a kill, p50 / max MiB", mebibytes(self.samples.get("again, kill", ()))),
            ("… of what the server had read from its sockets", mebibytes(self.samples.get("again, read", ()))),
            ("sent again after another break, p50 / max MiB", mebibytes(self.samples.get("again, break", ()))),
            ("body bytes sent beyond the files' size (plain ones, created empty)", self._beyond()),
            ("left over after the reaper", f"{count['left over']} (of {count['cleared']} cleared away)"),
        ]
        return "\n".join(["| | ferryman |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])

    def _others(self) -> str:
        return " / ".join(str(self.counts[name]) for name in ("take-overs", "deletions", "questions"))

    def _checks(self) -> str:
        return " / ".join(str(self.counts[name]) for name in ("offset checks", "prefix checks", "downloads"))

    def _beyond(self) -> str:
        size, sent = self.counts["bytes"], self.counts["bytes carried"]
        return f"{(sent - size) / size:.1%}" if size else "-"


def seconds(values: Sequence[float]) -> str:
    """p50 and the largest."""
    return f"{statistics.median(values):.3f} / {max(values):.3f} ({len(values)})" if values else "-"


def mebibytes(values: Sequence[float]) -> str:
    """p50 and the largest, of bytes."""
    return f"{statistics.median(values) / MIB:.3f} / {max(values) / MIB:.3f} ({len(values)})" if values else "-"
