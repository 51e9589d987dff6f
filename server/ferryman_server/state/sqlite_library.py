"""The library of the SQLite state (:class:`.library.Library`)."""

from collections.abc import Sequence

from ferryman_server.state import sqlite_generations as generations
from ferryman_server.state import sqlite_media as media
from ferryman_server.state.media import (
    NO_FACTS,
    Derived,
    Edit,
    Facts,
    FrameRow,
    Group,
    Leftovers,
    MediaPage,
    Medium,
    Publication,
    Published,
    Selection,
    Waiting,
)
from ferryman_server.state.media_cursors import from_cursor
from ferryman_server.state.sqlite_access import Access
from ferryman_server.state.sqlite_listing import fetch_page
from ferryman_server.state.sqlite_publishing import publish
from ferryman_server.state.sqlite_waiting import fetch_waiting


class SqliteLibrary:
    """Media in the state's file."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def publish(
        self, publications: Sequence[Publication], now: float, group: Group | None = None
    ) -> Sequence[Published]:
        """Publish these uploads, all or none. Raises PublishError."""
        chosen = list(publications)  # the caller's may change while this waits
        return await self._access.write(lambda connection: publish(connection, chosen, group, now))

    async def pending(self, upload_id: str) -> Waiting | None:
        """The group that this upload waits for."""
        return await self._access.read(lambda connection: fetch_waiting(connection, upload_id))

    async def get(self, slug: str, generation: int | None = None) -> Medium | None:
        """One medium, as it is in this generation."""
        return await self._access.read(lambda connection: media.fetch(connection, slug, generation))

    async def by_upload(self, upload_id: str) -> Medium | None:
        """The medium that this upload is a generation of."""
        return await self._access.read(lambda connection: media.fetch_by_upload(connection, upload_id))

    async def listing(self, selection: Selection, limit: int, cursor: str | None = None) -> MediaPage:
        """A page of media. Raises ValueError for a cursor of another order, or of none."""
        after = None if cursor is None else from_cursor(cursor, selection.sort, selection.descending)
        return await self._access.read(lambda connection: fetch_page(connection, selection, limit, after))

    async def tags(self) -> Sequence[tuple[str, int]]:
        """Every tag, and how many media have it."""
        return await self._access.read(media.fetch_tags)

    async def edit(self, slug: str, edit: Edit, now: float) -> Medium | None:
        """Change a medium. Raises SlugTaken."""
        return await self._access.write(lambda connection: media.edit(connection, slug, edit, now))

    async def delete(self, slug: str) -> Sequence[str] | None:
        """Remove a medium; its uploads, which are to be terminated."""
        return await self._access.write(lambda connection: media.remove(connection, slug))

    async def viewed(self, slug: str) -> int | None:
        """Count a view."""
        return await self._access.write(lambda connection: media.count_view(connection, slug))

    async def active(self) -> Medium | None:
        """What the player shows."""
        return await self._access.read(media.fetch_active)

    async def set_active(self, slug: str | None) -> bool:
        """Say what the player shows."""
        return await self._access.write(lambda connection: media.set_active(connection, slug))

    async def frame(self, slug: str, n: int) -> FrameRow | None:
        """A frame of a medium."""
        found = await self.frames(slug, n, n + 1) if n >= 0 else ()
        return found[0] if found else None

    async def frames(self, slug: str, start: int, stop: int) -> Sequence[FrameRow]:
        """Frames of a medium."""
        of_slug = generations.OF_SLUG
        return await self._access.read(lambda connection: generations.frames_of(connection, of_slug, slug, start, stop))

    async def frames_of(self, upload_id: str, start: int, stop: int) -> Sequence[FrameRow]:
        """Frames of one generation."""
        of = generations.OF_UPLOAD
        return await self._access.read(lambda connection: generations.frames_of(connection, of, upload_id, start, stop))

    async def derived(self, upload_id: str) -> Sequence[Derived]:
        """What was made of this generation."""
        return await self._access.read(lambda connection: generations.fetch_derived(connection, upload_id))

    async def derived_of(self, slug: str, kind: str) -> Derived | None:
        """What of this kind was made of a medium's active generation."""
        return await self._access.read(lambda connection: generations.fetch_derived_of(connection, slug, kind))

    async def put_derived(self, generation: int, derived: Sequence[Derived], facts: Facts = NO_FACTS) -> bool:
        """Record what was made, or that it could not be, and what was found."""
        chosen = list(derived)  # the caller's may change while this waits
        return await self._access.write(
            lambda connection: generations.put_derived(connection, generation, chosen, facts)
        )

    async def leftovers(self, limit: int) -> Leftovers:
        """What is to be freed."""
        return await self._access.read(lambda connection: generations.fetch_leftovers(connection, limit))

    async def freed(self, places: Sequence[str]) -> None:
        """These places are free."""
        chosen = list(places)  # the caller's may change while this waits
        await self._access.write(lambda connection: generations.forget_places(connection, chosen))
