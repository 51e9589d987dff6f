"""Extracting a film beside a running server, or where none runs: state and store are read, and neither is changed."""

from pathlib import Path

from ferryman_server.backends import Backends
from ferryman_server.media.extraction import Extraction, entries_of, extracted, target_for
from ferryman_server.settings import Settings
from ferryman_server.settling import recall
from ferryman_server.state.media import Medium
from ferryman_server.storage.identity import read_store_id
from ferryman_server.threads import POOL


def store_id_of(settings: Settings, backends: Backends) -> str:
    """The store's. A local one knows it only when it is open for writing."""
    return (backends.store.store_id if settings.in_bucket else read_store_id(settings.data)) or ""


async def extract_beside(
    settings: Settings, backends: Backends, medium: Medium, folder: Path, wanted: str | None = None
) -> Extraction:
    """Extract a medium's frames into this folder, as what is `wanted` (:func:`target_for`); what was done. Raises
    ExtractionFailed, FolderRefused, StateError and StoreError."""
    extraction = Extraction(
        store=backends.store,
        store_id=store_id_of(settings, backends),
        medium=medium,
        entries=await entries_of(backends.state.library, medium),
        folder=folder,
        to=target_for(medium, wanted),  # behind the entries: what has no frames is refused there
        durable=settings.durability == "disk",
    )
    await recall(backends.state, backends.store)  # of a small upload the database alone may know, until it is a file
    await extracted(extraction, POOL)
    return extraction
