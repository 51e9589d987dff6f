"""Archives and publications for the tests of media, and what a test wants of uploads that they belong to."""

from typing import Any

from ferryman_protocol.model import Phase
from ferryman_server.media.entries import Entry
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.picture_size import PictureSize
from ferryman_server.state.base import State
from ferryman_server.state.media import IndexedEntry, MediaPage, Medium, Publication, Published, Selection
from ferryman_server.state.testing_records import advanced, new_record

OVER = (Phase.TERMINATED, Phase.EXPIRED, Phase.FAILED, Phase.INVALID)
"""The phases in which an upload takes its media with it."""


def entry(number: int, **fields: Any) -> IndexedEntry:
    """An entry of an archive of PNG pictures; `fields` are those of :class:`Entry`."""
    values: dict[str, Any] = {
        "name": f"frames/{number:05}.png",
        "offset": number * 1000,
        "data": number * 1000 + 60,
        "packed": 900,
        "size": 900,
        "crc": (1 << 32) - 1 - number,
        "method": 0,
        "flags": 8,
        **fields,
    }
    return IndexedEntry(Entry(number=number, **values), PictureSize(Format.PNG, 320, 240))


async def upload_in(state: State, phase: Phase = Phase.COMPLETE) -> str:
    """A new upload in this phase."""
    record = new_record(phase=phase, offset=100)
    await state.create(record)
    return record.upload.id


async def to_phase(state: State, upload_id: str, phase: Phase) -> None:
    """Bring an upload into this phase."""
    leased = await state.lease(upload_id)
    assert leased is not None
    await state.save(advanced(leased[0], phase=phase), leased[1])


async def delete(state: State, upload_id: str) -> None:
    """Remove an upload's row."""
    leased = await state.lease(upload_id)
    assert leased is not None
    await state.delete(upload_id, leased[1])


async def end(state: State, upload_id: str, phase: Phase | None) -> None:
    """Bring an upload into this phase; None: remove its row."""
    await (delete(state, upload_id) if phase is None else to_phase(state, upload_id, phase))


async def indexed(state: State, count: int = 3, phase: Phase = Phase.COMPLETE) -> str:
    """A new upload in this phase, whose index has so many entries."""
    upload_id = await upload_in(state, phase)
    await state.archives.begin(upload_id, 1.0)
    await state.archives.advance(
        upload_id, offset=count * 1000, checkpoint="{}", now=2.0, entries=[entry(number) for number in range(count)]
    )
    return upload_id


def a_file(upload_id: str, name: str = "notes.txt", **fields: Any) -> Publication:
    """An ordinary file; `fields` are those of :class:`Publication`."""
    values: dict[str, Any] = {"title": "Notes", "kind": "file", "size": 100, "content_type": "text/plain", **fields}
    return Publication(upload_id=upload_id, name=name, **values)


def a_film(upload_id: str, frames: tuple[int, ...] = (2, 0, 1), name: str = "film.zip", **fields: Any) -> Publication:
    """An archive of frames."""
    values: dict[str, Any] = {
        "title": "A film",
        "kind": "frames",
        "size": 3000,
        "content_type": "application/zip",
        "width": 320,
        "height": 240,
        "format": "png",
        "fps": 12.5,
        "duration": 0.24,
        **fields,
    }
    return Publication(upload_id=upload_id, name=name, frames=frames, **values)


async def published(state: State, publication: Publication, now: float = 10.0) -> Published:
    """Publish one upload that belongs to no group."""
    (told,) = await state.library.publish([publication], now)
    return told


async def published_file(state: State, name: str = "notes.txt", now: float = 10.0, **fields: Any) -> Published:
    """Publish a new complete upload as an ordinary file."""
    return await published(state, a_file(await upload_in(state), name, **fields), now)


async def walk_media(state: State, selection: Selection, limit: int = 100) -> list[Medium]:
    """All media of a selection, by walking the pages."""
    media: list[Medium] = []
    page = await state.library.listing(selection, limit)
    media += page.media
    while page.next is not None:
        page = await _next(state, selection, limit, page.next)
        media += page.media
    return media


async def slugs(state: State, **fields: Any) -> list[str]:
    """The slugs of a selection by name; `fields` are those of :class:`Selection`."""
    selection = Selection(**{"sort": "name", "descending": False, **fields})
    return [medium.slug for medium in await walk_media(state, selection)]


async def _next(state: State, selection: Selection, limit: int, cursor: str) -> MediaPage:
    page = await state.library.listing(selection, limit, cursor)
    assert 0 < len(page.media) <= limit
    return page
