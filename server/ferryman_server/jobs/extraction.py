"""Writing a film into a folder as a job, for :mod:`ferryman_server.media.extracting` in the server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferryman_server.backends import found_backends, opened
from ferryman_server.extraction_beside import extract_beside, store_id_of
from ferryman_server.media.atomic_folder import FolderRefused
from ferryman_server.media.extracted import mark_of
from ferryman_server.media.extraction import ExtractionFailed, NoRoom
from ferryman_server.settings import Settings


async def extract(settings: Settings, slug: str, generation: int, folder: Path) -> Mapping[str, Any]:
    """Extract this generation, unless it is there: `frames`, how many there are; or the `reason` why not, with
    `no_room` where that is all there is to it. Raises StateError and StoreError."""
    async with opened(found_backends(settings, readonly=True)) as backends:
        medium = await backends.state.library.get(slug, generation)
        try:
            if medium is None:
                raise ExtractionFailed(f"{slug} has no generation {generation} any more")
            mark, store_id = mark_of(folder), store_id_of(settings, backends)
            if mark is not None and (mark.store_id, mark.slug, mark.generation) == (store_id, slug, generation):
                return {"frames": medium.frames}
            extraction = await extract_beside(settings, backends, medium, folder)
        except (ExtractionFailed, FolderRefused) as failure:
            return {"reason": str(failure), "no_room": isinstance(failure, NoRoom)}
        return {"frames": len(extraction.entries)}
