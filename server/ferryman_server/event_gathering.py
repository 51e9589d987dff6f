"""How far uploads under way are, for listeners: of what may come a thousand times a second they hear four times.

Only the latest is told of each upload: its offset; how many frames there are, and the last few of them. The first is
told at once, what follows within the interval when that is over. Nothing of it is stored or numbered: whoever was away
misses nothing that the next one does not say.

Each one told has a version, which rises. A reader keeps the version it has come to. What is kept is bounded: an upload
is forgotten when it is over, and the ones not heard of for longest when they are too many. A reader that has not read
those yet is told so.

Used on the event loop only. Every `now` is a time of the same clock, in seconds.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import structlog

from ferryman_server import sse
from ferryman_server.events import Event, Name

INTERVAL: Final = 0.25  # seconds between two messages of one kind about one upload
MOST: Final = 10_000  # uploads of which something is kept, times kinds
FRAMES: Final = 8  # the newest ones that a message names

Key: TypeAlias = tuple[str, Name]

log = structlog.get_logger("ferryman.events")

# Which kinds are over with which event. Frames of a complete upload may still come.
_OVER: Final[Mapping[Name, tuple[Name, ...]]] = {
    "complete": ("progress",),
    "published": ("progress", "frame"),
    "retracted": ("frame",),
    "failed": ("progress", "frame"),
    "terminated": ("progress", "frame"),
    "expired": ("progress", "frame"),
}


class _Item:
    """What is known of one kind about one upload."""

    __slots__ = ("at", "block", "count", "frames", "latest", "ripe_at", "version", "waits")

    def __init__(self) -> None:
        self.at = 0.0
        self.latest: Mapping[str, object] = {}
        self.count = 0
        self.frames: deque[Mapping[str, object]] = deque(maxlen=FRAMES)  # that have not been told
        self.ripe_at = float("-inf")  # when the next message may be told
        self.waits = False  # there is something to be told then
        self.version = 0
        self.block = b""

    def take(self, event: Event) -> None:
        self.at = event.at
        if event.name == "progress":
            self.latest = event.data
            return
        self.count = max(self.count, _count(event.data))
        self.frames.append(event.data)

    def message(self, upload_id: str, name: Name) -> bytes:
        if name == "progress":
            return sse.block(name, sse.encoded({"upload": upload_id, "at": self.at, **self.latest}))
        frames = list(self.frames)
        self.frames.clear()
        data = {"upload": upload_id, "at": self.at, "count": self.count, "frames": frames}
        return sse.block(name, sse.encoded(data))


def _count(data: Mapping[str, object]) -> int:
    """How many frames there are with the one that an event tells of: as it says, or by its place from 0."""
    count, number = data.get("count"), data.get("n")
    if isinstance(count, int):
        return count
    return number + 1 if isinstance(number, int) else 0


class Gathering:
    """The latest of every upload."""

    def __init__(self, *, interval: float = INTERVAL, most: int = MOST) -> None:
        self.version = 0  # of what was told last
        self.forgotten = 0  # a reader that has not come so far may have missed something
        self._interval = interval
        self._most = most
        self._items: OrderedDict[Key, _Item] = OrderedDict()  # the last told last
        self._waiting: list[tuple[float, Key]] = []  # a heap: when to look at which

    @property
    def waits(self) -> bool:
        """Whether something is to be told later: call `ripen` soon."""
        return bool(self._waiting)

    def __len__(self) -> int:
        return len(self._items)

    def take(self, event: Event, now: float) -> None:
        """Take in a `progress` or `frame`."""
        key = (event.upload_id, event.name)
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item()
        item.take(event)
        if now >= item.ripe_at:
            self._tell(key, item, now)
        elif not item.waits:
            item.waits = True
            heapq.heappush(self._waiting, (item.ripe_at, key))

    def ripen(self, now: float) -> None:
        """Tell what has waited long enough."""
        while self._waiting and self._waiting[0][0] <= now:
            _, key = heapq.heappop(self._waiting)
            item = self._items.get(key)
            if item is not None and item.waits and item.ripe_at <= now:
                self._tell(key, item, now)

    def end(self, event: Event) -> None:
        """Something happened to an upload: forget what is over with it."""
        for name in _OVER.get(event.name, ()):
            self._items.pop((event.upload_id, name), None)

    def clear(self) -> None:
        """Nobody reads: forget everything."""
        self._items.clear()
        self._waiting.clear()
        self.forgotten = self.version

    def since(self, version: int, upload_id: str | None = None) -> list[tuple[int, bytes]] | None:
        """(version, message) of what was told since a version, in that order, about all uploads or about one. None:
        some of it is forgotten."""
        if version < self.forgotten:
            return None
        found = []
        for item in self._of(upload_id):
            if item.version > version:
                found.append((item.version, item.block))
            elif upload_id is None:
                break  # the others are older
        found.reverse()
        return found if upload_id is None else sorted(found)

    def _of(self, upload_id: str | None) -> Iterable[_Item]:
        if upload_id is None:
            return reversed(self._items.values())
        items = (self._items.get((upload_id, name)) for name in ("progress", "frame"))
        return [item for item in items if item is not None]

    def _tell(self, key: Key, item: _Item, now: float) -> None:
        try:
            item.block = item.message(*key)
        except (TypeError, ValueError):
            del self._items[key]
            log.exception("an event has data that cannot be told", event_name=key[1], upload_id=key[0])
            return
        self.version += 1
        item.version, item.ripe_at, item.waits = self.version, now + self._interval, False
        self._items.move_to_end(key)
        while len(self._items) > self._most:
            _, oldest = self._items.popitem(last=False)
            self.forgotten = max(self.forgotten, oldest.version)
