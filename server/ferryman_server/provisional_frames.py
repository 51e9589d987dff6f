"""Which entries of an archive that is being indexed look like frames so far.

To tell it, all entries are sorted: milliseconds for thousands of them. So it is told once for each number of entries,
however many ask; of many entries it is told in a thread, and not for two who ask at the same time: the later one hears
what the earlier one does.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from ferryman_server.media.entries import Entry
from ferryman_server.media.following import Following
from ferryman_server.media.frame_set import provisional
from ferryman_server.threads import in_thread

FEW: Final = 500  # entries: less than a millisecond


@dataclass(frozen=True, slots=True)
class SoFar:
    """What is told of an archive."""

    frames: Sequence[Entry]  # in order
    entries: int  # among which they were found


class ProvisionalFrames:
    """Remembers what was told last of each archive, for as long as it is followed."""

    def __init__(self) -> None:
        self._last: WeakKeyDictionary[Following, asyncio.Task[SoFar]] = WeakKeyDictionary()

    async def of(self, following: Following) -> SoFar:
        """The frames so far."""
        last = self._last.get(following)
        if last is None or (last.done() and last.result().entries != len(following.entries)):
            last = self._last[following] = asyncio.create_task(_so_far(list(following.entries)))
        return await asyncio.shield(last)  # who goes away takes it from nobody


async def _so_far(entries: Sequence[Entry]) -> SoFar:
    return SoFar(await likely_frames(entries), len(entries))


async def likely_frames(entries: Sequence[Entry]) -> list[Entry]:
    """Of these entries, all of an archive so far, those that look like frames, in order."""
    if len(entries) > FEW:
        return await in_thread(_likely, entries)
    return _likely(entries)


def _likely(entries: Sequence[Entry]) -> list[Entry]:
    return [entries[number] for number in provisional(entries, None)]
