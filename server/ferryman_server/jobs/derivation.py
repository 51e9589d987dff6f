"""Making one thing of a medium, from what the store has of it into the store: what the steps of a workflow do.

Each opens state and store anew, as somebody who reads beside the server. What is wrong with a medium is a result; what
is wrong with state or store is raised.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from ferryman_server.backends import Backends, found_backends, opened
from ferryman_server.making.errors import CannotMake
from ferryman_server.making.facts import facts_of
from ferryman_server.making.frames_film import film
from ferryman_server.making.frames_loop import loop
from ferryman_server.making.frames_sheet import sheet
from ferryman_server.making.frames_source import FramesSource
from ferryman_server.making.poster import poster
from ferryman_server.making.stored_file import StoredFile
from ferryman_server.making.waveform import waveform
from ferryman_server.media.derivatives import FILM, LOOP, POSTER, SHEET, WAVEFORM, place_of, room_for
from ferryman_server.media.entries import Entry
from ferryman_server.media.extraction import ExtractionFailed, entries_of
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.piecing import Cutter
from ferryman_server.media.spans import in_a_row
from ferryman_server.settings import Settings
from ferryman_server.settling import recall
from ferryman_server.state.media import Medium
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.derived import KeepsDerived
from ferryman_server.threads import in_thread

GONE: Final[Mapping[str, Any]] = {"gone": True}  # there is no such generation of this upload any more
PIECE: Final = 1 << 18  # bytes of a file that are read at once

_OF_FRAMES: Final[Mapping[str, Callable[[FramesSource, int], bytes]]] = {SHEET: sheet, FILM: film, LOOP: loop}


@dataclass(frozen=True, slots=True)
class _Source:
    """A generation that is there to be read."""

    store: Store
    medium: Medium
    entries: Sequence[Entry]  # of its frames, if it has any

    def file(self) -> StoredFile:
        """All of it."""
        return StoredFile(partial(self.store.read, self.medium.upload_id), self.medium.size, PIECE)

    def frames(self) -> FramesSource:
        """Its frames."""
        medium = self.medium
        return FramesSource(
            count=len(self.entries),
            format=Format(medium.format or ""),
            width=medium.width or 0,
            height=medium.height or 0,
            fps=medium.fps or 1.0,
            read=self._contents,
        )

    def _contents(self, numbers: Sequence[int]) -> Iterator[bytes]:
        chosen = [self.entries[number] for number in numbers]
        size = sum(entry.size for entry in chosen)
        cutter = Cutter(in_a_row(self.store, self.medium.upload_id, chosen, 0, size))
        for entry in chosen:
            yield b"".join(cutter.take(entry.size))


async def facts(settings: Settings, upload_id: str, generation: int) -> Mapping[str, Any]:
    """What can be found out about a file: the fields of Facts; `reason` where it cannot be read, or GONE."""
    async with _found(settings, upload_id, generation) as source:
        if source is None:
            return GONE
        try:
            return asdict(await in_thread(lambda: facts_of(source.file(), source.medium.kind)))
        except CannotMake as cannot:
            return {"reason": cannot.reason}


async def make(settings: Settings, upload_id: str, generation: int, kind: str) -> Mapping[str, Any]:
    """Make a derivative, and put it into the store: `kind` and `size`; or `kind` and the `reason` why not; or that it
    is `kept`; or GONE."""
    async with _found(settings, upload_id, generation) as source:
        if source is None:
            return GONE
        if kind in source.medium.ready:  # an earlier process has died after that was recorded: readers are reading it
            return {"kind": kind, "kept": True}
        try:
            content = await in_thread(_content, source, kind)
        except CannotMake as cannot:
            return {"kind": kind, "reason": cannot.reason}
        if not isinstance(source.store, KeepsDerived):
            raise StoreError(f"the store {source.store.name} keeps no derived files")
        await in_thread(source.store.derived.put, place_of(upload_id, generation, kind), content)
        return {"kind": kind, "size": len(content)}


def _content(source: _Source, kind: str) -> bytes:
    medium = source.medium
    room = room_for(kind, medium.size)
    if kind in _OF_FRAMES:
        return _OF_FRAMES[kind](source.frames(), room)
    if kind == POSTER:
        return poster(source.file(), medium.kind, room)
    if kind == WAVEFORM:
        return waveform(source.file(), room)
    raise CannotMake(f"nobody knows how to make {kind}")


@asynccontextmanager
async def _found(settings: Settings, upload_id: str, generation: int) -> AsyncIterator[_Source | None]:
    async with opened(found_backends(settings, readonly=True)) as backends:
        yield await _source(backends, upload_id, generation)


async def _source(backends: Backends, upload_id: str, generation: int) -> _Source | None:
    library = backends.state.library
    medium = await library.by_upload(upload_id)
    if medium is None or medium.generation != generation:
        return None
    entries: Sequence[Entry] = ()
    if medium.kind == "frames":
        try:
            entries = await entries_of(library, medium)
        except ExtractionFailed:  # it is being indexed anew, and is another generation soon
            return None
    await recall(backends.state, backends.store)  # of a small one the database alone may know, until it is a file
    return _Source(backends.store, medium, entries)
