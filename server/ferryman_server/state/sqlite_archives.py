"""The archives of the SQLite state (:class:`.archives.Archives`)."""

from collections.abc import Mapping, Sequence
from typing import Literal

from ferryman_server.state import sqlite_archives_queries as queries
from ferryman_server.state.media import Archive, IndexedEntry, Thumb
from ferryman_server.state.sqlite_access import Access


class SqliteArchives:
    """Archives in the state's file."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def begin(self, upload_id: str, now: float) -> Archive:
        """Start an index, or tell the one that is there. Raises NotIndexing."""
        return await self._access.write(lambda connection: queries.begin(connection, upload_id, now))

    async def get(self, upload_id: str) -> Archive | None:
        """How far the index of this upload is."""
        return await self._access.read(lambda connection: queries.fetch(connection, upload_id))

    async def get_many(self, upload_ids: Sequence[str]) -> Mapping[str, Archive]:
        """The indexes of those that have one."""
        chosen = list(upload_ids)  # the caller's may change while this waits
        return await self._access.read(lambda connection: queries.fetch_many(connection, chosen))

    async def advance(
        self,
        upload_id: str,
        *,
        offset: int,
        checkpoint: str | None,
        now: float,
        entries: Sequence[IndexedEntry] = (),
        thumbs: Sequence[Thumb] = (),
    ) -> None:
        """Add what was found and move on. Raises NotIndexing."""
        archive = Archive(upload_id=upload_id, phase="indexing", offset=offset, checkpoint=checkpoint, updated_at=now)
        found = list(entries), list(thumbs)  # the caller's may change while this waits
        await self._access.write(lambda connection: queries.advance(connection, archive, *found))

    async def rewind(self, upload_id: str, now: float) -> Archive | None:
        """Forget what was found and start anew."""
        return await self._access.write(lambda connection: queries.rewind(connection, upload_id, now))

    async def settle(
        self,
        upload_id: str,
        phase: Literal["not-frames", "failed"],
        reason: str,
        now: float,
        *,
        drop: bool = False,
    ) -> None:
        """Keep only why it is not published. Raises NotIndexing."""
        archive = Archive(upload_id=upload_id, phase=phase, reason=reason, updated_at=now)
        await self._access.write(lambda connection: queries.settle(connection, archive, drop=drop))

    async def entries(self, upload_id: str, start: int = 0, limit: int | None = None) -> Sequence[IndexedEntry]:
        """Entries in their order."""
        most = -1 if limit is None else max(0, limit)
        return await self._access.read(lambda connection: queries.entries_of(connection, upload_id, start, most))

    async def thumb_numbers(self, upload_id: str) -> Sequence[int]:
        """Which entries have a thumb."""
        return await self._access.read(lambda connection: queries.fetch_thumb_numbers(connection, upload_id))

    async def thumb(self, upload_id: str, number: int) -> bytes | None:
        """The thumb of an entry as JPEG."""
        return await self._access.read(lambda connection: queries.fetch_thumb(connection, upload_id, number))

    async def drop_thumbs(self, upload_id: str) -> None:
        """Forget the filmstrip."""
        await self._access.write(lambda connection: queries.drop_thumbs(connection, upload_id))

    async def unsettled(self) -> Sequence[Archive]:
        """Every archive that is being indexed, the oldest first."""
        return await self._access.read(queries.fetch_unsettled)
