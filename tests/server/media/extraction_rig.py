"""Films in a store, as the library tells of them, and folders as a player reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ferryman_server.media.entries import STORED, Entry
from ferryman_server.media.extraction import Extraction
from ferryman_server.media.pictures import Target
from ferryman_server.state.media import Medium
from ferryman_server.storage.memory import MemoryStore
from tests.server.media.stored_entries import ID, stored
from tests.zips.build import Member

WIDTH, HEIGHT = 4, 3
SIZE = WIDTH * HEIGHT * 2  # bytes of a raw frame


def medium(frames: int, *, generation: int = 1, slug: str = "film", **fields: Any) -> Medium:
    """A film of so many raw frames; `fields` are those of :class:`Medium`."""
    values: dict[str, Any] = {
        "id": 1,
        "title": "A film",
        "name": "film.zip",
        "owner": None,
        "upload_id": ID,
        "kind": "frames",
        "size": 1000,
        "content_type": "application/zip",
        "width": WIDTH,
        "height": HEIGHT,
        "format": "rgb565le",
        "fps": 12.5,
        "duration": frames / 12.5,
        "created_at": 0.0,
        "published_at": 0.0,
        "updated_at": 0.0,
        "favourite": False,
        "rating": 0,
        "views": 0,
        "tags": (),
        "ready": (),
        **fields,
    }
    return Medium(slug=slug, generation=generation, frames=frames, **values)


def contents(count: int, generation: int = 1) -> list[bytes]:
    """Raw frames that tell their generation and their number."""
    return [bytes([generation, n % 256]) * (SIZE // 2) for n in range(count)]


def in_store(frames: Sequence[bytes], method: int = STORED) -> tuple[MemoryStore, list[Entry]]:
    """A store with an archive of these frames, and their entries."""
    return stored([Member(b"%05d.rgb" % n, content, method) for n, content in enumerate(frames)])


def extraction(folder: Path, count: int = 3, generation: int = 1, to: Target | None = None) -> Extraction:
    """The extraction of a small film, unsynced."""
    store, entries = in_store(contents(count, generation))
    told = medium(count, generation=generation)
    return Extraction(
        store=store, store_id=store.store_id, medium=told, entries=entries, folder=folder, to=to, durable=False
    )


def extract(work: Extraction) -> Extraction:
    """Do it, to its end."""
    for _ in work.steps():
        pass
    return work


def described(folder: Path) -> dict[str, Any]:
    """What its metadata.json says."""
    said: dict[str, Any] = json.loads((folder / "metadata.json").read_bytes())
    return said


def files(folder: Path) -> list[tuple[str, bytes]]:
    """The frames in a folder: names and contents, in the order of the names."""
    return [(path.name, path.read_bytes()) for path in sorted((folder / "frames").iterdir())]
