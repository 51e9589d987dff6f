"""What all indexing shares, put together once in :mod:`ferryman_server.app`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from ferryman_server.events import Event, Events
from ferryman_server.media.derivatives import OF_KIND, derive_job
from ferryman_server.media.wishes import wishes_of
from ferryman_server.media.zip_index import Limits
from ferryman_server.metrics import Metrics
from ferryman_server.state.archives import Archives
from ferryman_server.state.base import Record, State
from ferryman_server.state.library import Library
from ferryman_server.state.media import Publication
from ferryman_server.storage.base import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Workshop:
    """The parts."""

    state: State
    archives: Archives
    library: Library
    store: Store
    events: Events
    metrics: Metrics
    limits: Limits
    clock: Callable[[], float]  # seconds since the epoch
    turns: asyncio.Semaphore  # held while an archive is walked
    drops_failed: bool  # whether an archive of frames that breaks a rule is deleted
    derives: bool  # whether anything is made of media in the background

    async def publish(self, publication: Publication, record: Record) -> bool:
        """Make a medium of a complete upload, or let it wait for its group; tell of all that are media by this. False:
        it waits. Raises PublishError and StateError."""
        if self.derives and OF_KIND[publication.kind]:
            wanted, job = OF_KIND[publication.kind], derive_job(publication.upload_id)
            publication = replace(publication, derived=wanted, jobs=[job])
        published = await self.library.publish([publication], self.clock(), wishes_of(record.upload).group)
        for each in published:
            data = {"slug": each.slug, "generation": each.generation}
            self.events.publish(Event("published", each.upload_id, self.clock(), data))
        return bool(published)
