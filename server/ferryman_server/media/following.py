"""One archive on its way past the walker: what is known of it so far. Used by one thread at a time."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ferryman_server.media.entries import Entry
from ferryman_server.media.filmstrip import Filmstrip
from ferryman_server.media.frame_set import BadFrames, FrameSet, NotFrames, judge, may_be_frame
from ferryman_server.media.tasting import Fetch, Tastes, both
from ferryman_server.media.zip_bodies import Taste
from ferryman_server.media.zip_errors import BadArchive
from ferryman_server.media.zip_index import Checkpoint, Coming, Limits, Walker
from ferryman_server.state.media import IndexedEntry, Thumb


@dataclass(frozen=True, slots=True)
class Gained:
    """What has been found since it was last asked, to be kept: a walk that begins at the checkpoint needs no more."""

    checkpoint: Checkpoint
    entries: Sequence[IndexedEntry]
    thumbs: Sequence[Thumb]


@dataclass(frozen=True, slots=True)
class Begun:
    """What an earlier process has kept."""

    checkpoint: Checkpoint
    entries: Sequence[IndexedEntry]
    thumbs: int  # how many there are


class Following:
    """Feeds a walker and keeps what frames need."""

    def __init__(
        self, limits: Limits, begun: Begun | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tastes = Tastes()
        self._filmstrip = Filmstrip(clock, made=0 if begun is None else begun.thumbs)
        before = () if begun is None else begun.entries
        self._sizes = {each.entry.number: each.picture for each in before if each.picture is not None}
        self._walker = Walker(
            limits,
            taster=self._taster,
            resume=None if begun is None else begun.checkpoint,
            entries=[each.entry for each in before],
        )
        self._told = len(self._walker.entries)
        self._gained: list[Entry] = []
        self._thumbs: list[Thumb] = []
        self.frames = sum(may_be_frame(entry.name) for entry in self._walker.entries)  # what looks like frames so far
        self.refused: BadArchive | None = None
        self._stopped = False

    @property
    def offset(self) -> int:
        """The byte that is to be fed next."""
        return self._walker.offset

    @property
    def entries(self) -> Sequence[Entry]:
        """All so far."""
        return self._walker.entries

    @property
    def described(self) -> bool:
        """Whether a metadata.json has come."""
        return self._tastes.first_text is not None

    def feed(self, pieces: Iterable[memoryview]) -> None:
        """The next bytes of the archive. What is wrong with it is told by `refused`; raises what the iterable
        raises."""
        try:
            for piece in pieces:
                if self._stopped or self.refused is not None:
                    return
                self._take(self._walker.feed(piece))
        except BadArchive as bad:
            self._take(self._walker.entries[self._told :])
            self.refused = bad

    def stop(self) -> None:
        """Nothing more is to be fed: `feed` returns soon. From any thread."""
        self._stopped = True

    def finish(self, fetch: Fetch) -> FrameSet | NotFrames | BadFrames | None:
        """All has been fed: what it is; None: it is refused. `fetch` reads the content of an entry again; what it
        raises is raised."""
        if self.refused is None:
            try:
                self._walker.finish()
            except BadArchive as bad:
                self.refused = bad
        if self.refused is not None:
            return None
        entries = self._walker.entries
        return judge(entries, self._tastes.metadata(entries, fetch), self._sizes)

    def gained(self) -> Gained:
        """What is to be kept now."""
        entries, self._gained = self._gained, []
        thumbs, self._thumbs = self._thumbs, []
        indexed = [IndexedEntry(entry, self._sizes.get(entry.number)) for entry in entries]
        return Gained(self._walker.checkpoint, indexed, thumbs)

    @property
    def has_thumbs(self) -> bool:
        """Whether small pictures wait to be kept, from which on they can be seen."""
        return bool(self._thumbs)

    @property
    def gaining(self) -> int:
        """How many entries wait to be kept."""
        return len(self._gained)

    def _taster(self, coming: Coming) -> Taste | None:
        return both(self._tastes(coming), self._filmstrip(coming))

    def _take(self, entries: Sequence[Entry]) -> None:
        self._told += len(entries)
        for entry in entries:
            self._gained.append(entry)
            self.frames += may_be_frame(entry.name)
            size = self._tastes.size(entry.number)
            if size is not None:
                self._sizes[entry.number] = size
            thumb = self._filmstrip.developed(entry, size, lambda: self._tastes.first_text)
            if thumb is not None:
                self._thumbs.append(thumb)
