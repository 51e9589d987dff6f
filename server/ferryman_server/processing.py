"""What has become of the archives among uploads, in a word each; of an upload that is no archive there is nothing.

`waiting`: its frames are known, and it is published with the others of its group.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ferryman_server.house import House
from ferryman_server.media.indexing import Indexing
from ferryman_server.state.library import Library
from ferryman_server.state.media import Archive, Medium, Waiting


async def processing_of(house: House, upload_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """Of these uploads those that have an index: how far it is. Raises StateError."""
    archives = await house.state.archives.get_many(upload_ids)
    found = {each: _indexing(indexing) for each in upload_ids if (indexing := house.indexer.get(each)) is not None}
    settled = [archive for upload_id, archive in archives.items() if upload_id not in found]
    for archive, told in zip(settled, await asyncio.gather(*(_told(house, each) for each in settled)), strict=True):
        found[archive.upload_id] = told
    return found


async def published(library: Library, upload_id: str) -> Medium | Waiting | None:
    """What a complete upload is a generation of, or waits for. None: neither."""
    medium = await library.by_upload(upload_id)
    if medium is not None:
        return medium
    # between the two questions the last of its group may have come
    return await library.pending(upload_id) or await library.by_upload(upload_id)


def frames_of(medium: Medium, upload_id: str) -> int | None:
    """How many frames this generation of the medium has; None: another one is shown, so that this is not known."""
    return medium.frames if medium.upload_id == upload_id else None


async def _told(house: House, archive: Archive) -> dict[str, Any]:
    if archive.phase != "ready":
        return _as_json(archive.phase, archive.reason)
    match await published(house.state.library, archive.upload_id):
        case Medium() as medium:
            return _as_json("ready", frames=frames_of(medium, archive.upload_id), slug=medium.slug)
        case Waiting():
            return _as_json("waiting")
    return _as_json("ready")  # its medium was deleted, and it is about to be


def _indexing(indexing: Indexing) -> dict[str, Any]:
    following = indexing.following
    return _as_json("indexing", frames=None if following is None else following.frames)


def _as_json(
    phase: str, reason: str | None = None, *, frames: int | None = None, slug: str | None = None
) -> dict[str, Any]:
    return {"phase": phase, "reason": reason, "frames": frames, "slug": slug}
