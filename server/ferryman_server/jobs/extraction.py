"""Writing a film into a folder as a job, for :mod:`ferryman_server.media.extracting` in the server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferryman_server.backends import found_backends, opened
from ferryman_server.media.atomic_folder import FolderRefused
from ferryman_server.media.extracted import mark_of
from ferryman_server.media.extraction import Extraction, ExtractionFailed, NoRoom, entries_of, extracted
from ferryman_server.settings import Settings
from ferryman_server.settling import recall
from ferryman_server.storage.identity import read_store_id
from ferryman_server.threads import POOL


async def extract(settings: Settings, slug: str, generation: int, folder: Path) -> Mapping[str, Any]:
    """Extract this generation, unless it is there: `frames`, how many there are; or the `reason` why not, with
    `no_room` where that is all there is to it. Raises StateError and StoreError."""
    async with opened(found_backends(settings, readonly=True)) as backends:
        library, store = backends.state.library, backends.store
        medium = await library.get(slug, generation)
        store_id = store.store_id if settings.in_bucket else read_store_id(settings.data) or ""
        try:
            if medium is None:
                raise ExtractionFailed(f"{slug} has no generation {generation} any more")
            mark = mark_of(folder)
            if mark is not None and (mark.store_id, mark.slug, mark.generation) == (store_id, slug, generation):
                return {"frames": medium.frames}
            extraction = Extraction(
                store=store,
                store_id=store_id,
                medium=medium,
                entries=await entries_of(library, medium),
                folder=folder,
                durable=settings.durability == "disk",
            )
            await recall(backends.state, store)
            await extracted(extraction, POOL)
        except (ExtractionFailed, FolderRefused) as failure:
            return {"reason": str(failure), "no_room": isinstance(failure, NoRoom)}
        return {"frames": len(extraction.entries)}
