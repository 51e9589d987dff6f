"""Part numbers, and which of them the state knows to be taken.

A number belongs to one range of bytes: the same bytes may be sent again under it, others never. So before a part is
sent its number is reserved in the state, some at once, and a process that finds reserved numbers takes none of them: a
part of a killed process that still arrives cannot take the place of one that counts.

What one request has reserved and not used is for the next one in the same process. That it may take them it sees from
the state: as long as this says the same as when they were kept, nobody else has reserved anything, so nobody sent
anything.
"""

import threading
from collections.abc import Callable
from typing import Final

AHEAD: Final = 8  # numbers reserved at once: each time is a commit
MOST: Final = 8192  # uploads of which numbers are kept; forgetting some wastes at most AHEAD of them


class Numbers:
    """The numbers of one upload; used from several threads."""

    def __init__(self, reserved: int, unused: int | None = None) -> None:
        """The state knows the numbers below `reserved` to be taken. Those from `unused` on were not used for all that,
        and are ours."""
        self.next = reserved if unused is None else unused
        self.reserved = reserved

    def take(self) -> int:
        """The number for the next part. Called by one thread at a time."""
        self.next += 1
        return self.next - 1

    def reserve(self, number: int, write: Callable[[int], None]) -> None:
        """See that the state knows that `number` is taken; `write` tells it up to where. One call at a time. Raises
        what `write` raises."""
        if number >= self.reserved:
            write(number + AHEAD)
            self.reserved = number + AHEAD


class Unused:
    """What writers leave for those after them. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Numbers] = {}

    def numbers(self, upload_id: str, reserved: int) -> Numbers:
        """Those of an upload for its next writer, who has read in the state up to where they are reserved."""
        with self._lock:
            kept = self._kept.pop(upload_id, None)
        return Numbers(reserved, kept.next if kept is not None and kept.reserved == reserved else None)

    def keep(self, upload_id: str, numbers: Numbers) -> None:
        """Its writer has ended, and takes none any more. To be called once for each."""
        with self._lock:
            self._kept.pop(upload_id, None)
            if numbers.next < numbers.reserved:
                self._kept[upload_id] = Numbers(numbers.reserved, numbers.next)
            if len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
