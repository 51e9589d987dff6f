"""Parts that stay in memory a moment longer, for whoever reads an upload along: in the bucket they cannot be read
before the upload is complete.

A part is kept when it was acknowledged, offered when its row is committed, and freed when it was read. Kept parts are
taken from the budget in which parts are filled: four an upload, and a quarter of it in all. A part that finds no room
is freed as ever; whoever reads along has fallen behind then, and reads the rest when the upload is complete.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ferryman_server.storage.ledger import Tap
from ferryman_server.storage.s3_books import Part
from ferryman_server.storage.s3_memory import Memory
from ferryman_server.storage.s3_run import Run

PARTS: Final = 4  # of one upload: as many of its small parts may be acknowledged at once, and wait for a commit
SHARE: Final = 4  # the budget's part that all of them may take


class Taps:
    """Who reads which uploads along, and how much is kept for them. From any thread."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._taps: dict[str, Tap] = {}
        self._parts: dict[str, int] = {}
        self._kept = 0  # bytes

    def attach(self, upload_id: str, tap: Tap | None) -> None:
        """This one reads the upload along from now on; None: nobody does."""
        with self._lock:
            if tap is None:
                self._taps.pop(upload_id, None)
            else:
                self._taps[upload_id] = tap

    def get(self, upload_id: str) -> Tap | None:
        """Who reads it along."""
        with self._lock:
            return self._taps.get(upload_id)

    def reserve(self, upload_id: str, size: int) -> bool:
        """Room for one more part; False: there is none, or nobody reads along."""
        with self._lock:
            parts = self._parts.get(upload_id, 0)
            if upload_id not in self._taps or parts == PARTS or self._kept + size > self._memory.total // SHARE:
                return False
            self._parts[upload_id] = parts + 1
            self._kept += size
            return True

    def free(self, upload_id: str, run: Run, size: int) -> None:
        """A part is read, or nobody will: its memory goes back."""
        taken = run.free()
        with self._lock:
            self._kept -= size
            left = self._parts.pop(upload_id) - 1
            if left:
                self._parts[upload_id] = left
        self._memory.give(taken)


@dataclass(eq=False, slots=True)
class _Kept:
    run: Run
    size: int  # bytes reserved


class KeptParts:
    """Those of one writer."""

    def __init__(self, taps: Taps, upload_id: str) -> None:
        self._taps = taps
        self._upload_id = upload_id
        self._lock = threading.Lock()
        self._kept: dict[int, _Kept] = {}  # by where they begin
        self._closed = False

    def keep(self, run: Run, start: int) -> bool:
        """Keep an acknowledged part that begins at `start` and lies whole in this run; False: it is to be freed."""
        size = run.taken
        if run.start != start or not self._taps.reserve(self._upload_id, size):
            return False
        with self._lock:
            if not self._closed:
                self._kept[start] = _Kept(run, size)
                return True
        self._taps.free(self._upload_id, run, size)
        return True

    def committed(self, parts: Sequence[Part]) -> None:
        """These parts are committed: whoever reads along may have those that were kept. On the event loop."""
        tap = self._taps.get(self._upload_id)
        for part in parts:
            with self._lock:
                kept = self._kept.pop(part.start, None)
            if kept is not None:
                release = self._releasing(kept)
                if tap is None:
                    release()
                else:
                    tap.offer(part.start, kept.run.chunks(), release)

    def close(self) -> None:
        """What was not committed is not read by anybody. Idempotent."""
        with self._lock:
            kept, self._kept, self._closed = list(self._kept.values()), {}, True
        for each in kept:
            self._taps.free(self._upload_id, each.run, each.size)

    def _releasing(self, kept: _Kept) -> Callable[[], None]:
        return lambda: self._taps.free(self._upload_id, kept.run, kept.size)
