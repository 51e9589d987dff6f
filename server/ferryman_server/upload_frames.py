"""The frames of an upload, as far as they are known: while it runs, when it is done, or why there are none."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ferryman_server.house import House
from ferryman_server.media.entries import Entry
from ferryman_server.media.urls import thumb_url
from ferryman_server.processing import frames_of, published
from ferryman_server.provisional_frames import ProvisionalFrames, likely_frames
from ferryman_server.state.media import Archive, Medium, Waiting

_SLICE: Final = 5000  # entries read at once: others read the state too


@dataclass(frozen=True, slots=True)
class Span:
    """The part of the frames that is asked for."""

    start: int
    limit: int

    def of(self, entries: Sequence[Entry]) -> Sequence[tuple[int, Entry]]:
        """Frames with their numbers."""
        return list(enumerate(entries[self.start : self.start + self.limit], self.start))


class UploadFrames:
    """Tells them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._provisional = ProvisionalFrames()

    async def told(self, upload_id: str, span: Span) -> dict[str, Any]:
        """What is known of this upload's frames, as JSON. Raises StateError."""
        indexing = self._house.indexer.get(upload_id)
        if indexing is not None and indexing.following is not None:
            so_far = await self._provisional.of(indexing.following)
            return await self._likely("indexing", upload_id, so_far.frames, so_far.entries, span)
        archive = await self._house.state.archives.get(upload_id)
        if archive is None:
            return await self._unindexed(upload_id, begun=indexing is not None)
        if archive.phase == "indexing":
            frames = await likely_frames(await self._entries(upload_id))
            return await self._likely("indexing", upload_id, frames, archive.entries, span)
        if archive.phase == "ready":
            return await self._ready(archive, span)
        return _as_json(archive.phase, reason=archive.reason)

    async def _unindexed(self, upload_id: str, *, begun: bool) -> dict[str, Any]:
        if begun:
            return _as_json("indexing", provisional=True)
        found = await published(self._house.state.library, upload_id)
        return _as_json("waiting", group=found) if isinstance(found, Waiting) else _as_json("none")

    async def _ready(self, archive: Archive, span: Span) -> dict[str, Any]:
        upload_id = archive.upload_id
        found = await published(self._house.state.library, upload_id)
        if isinstance(found, Medium):
            return await self._published(archive, found, span)
        if found is None:
            return _as_json("none")  # its medium was deleted, and it is about to be
        frames = await likely_frames(await self._entries(upload_id))
        return await self._likely("waiting", upload_id, frames, archive.entries, span, group=found)

    async def _published(self, archive: Archive, medium: Medium, span: Span) -> dict[str, Any]:
        library, upload_id = self._house.state.library, archive.upload_id
        count = frames_of(medium, upload_id)
        if count is None:  # a generation that is not shown: few look at one
            count = len(await library.frames_of(upload_id, 0, archive.entries))
        rows = await library.frames_of(upload_id, span.start, span.start + span.limit)
        shown = medium.upload_id == upload_id
        frames = [
            _frame(row.n, row.indexed.entry, thumb_url(medium.slug, row.generation, row.n) if shown else None)
            for row in rows
        ]
        return _as_json("ready", count=count, entries=archive.entries, frames=frames, span=span)

    async def _likely(
        self,
        phase: str,
        upload_id: str,
        found: Sequence[Entry],
        entries: int,
        span: Span,
        group: Waiting | None = None,
    ) -> dict[str, Any]:
        pictured = set(await self._house.state.archives.thumb_numbers(upload_id))
        frames = [
            _frame(n, entry, _filmstrip_url(upload_id, entry) if entry.number in pictured else None)
            for n, entry in span.of(found)
        ]
        return _as_json(
            phase, provisional=True, count=len(found), entries=entries, frames=frames, span=span, group=group
        )

    async def _entries(self, upload_id: str) -> list[Entry]:
        entries: list[Entry] = []
        while True:
            found = await self._house.state.archives.entries(upload_id, len(entries), _SLICE)
            entries += [each.entry for each in found]
            if len(found) < _SLICE:
                return entries


def _filmstrip_url(upload_id: str, entry: Entry) -> str:
    return f"/api/uploads/{upload_id}/thumbs/{entry.number}.jpg"


def _frame(n: int, entry: Entry, thumb: str | None) -> dict[str, Any]:
    return {"n": n, "name": entry.name, "size": entry.size, "number": entry.number, "thumb": thumb}


def _as_json(
    phase: str,
    *,
    reason: str | None = None,
    provisional: bool = False,
    count: int = 0,
    entries: int = 0,
    frames: Sequence[dict[str, Any]] = (),
    span: Span = Span(0, 0),
    group: Waiting | None = None,
) -> dict[str, Any]:
    end = span.start + len(frames)
    return {
        "phase": phase,
        "reason": reason,
        "provisional": provisional,
        "count": count,
        "entries": entries,
        "frames": list(frames),
        "next": end if frames and end < count else None,
        "group": None if group is None else {**asdict(group.group), "arrived": len(group.arrived)},
    }
