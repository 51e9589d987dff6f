"""What an extracted folder says of itself in its metadata.json: what its frames are, and that it is ours.

The fields for players are those of docs/reference/metadata.schema.json. Ours stand behind them: by `extracted_by` a
folder is known that may be replaced or removed, by the others whether its frames are the latest.
"""

import json
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ferryman_server.humane import printable
from ferryman_server.media.archive_layout import METADATA
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.metadata import MAX_METADATA, MAX_TITLE
from ferryman_server.state.media import Medium
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.syscalls import open_regular

FRAMES: Final = "frames"

_LITTER: Final = (".DS_Store", "Thumbs.db", "desktop.ini")
_BY: Final = "extracted_by"
_US: Final = "ferryman"
_UNPRINTABLE: Final = ("Cc", "Cs", "Zl", "Zp")  # controls, halves of surrogate pairs, ends of lines and paragraphs


@dataclass(frozen=True, slots=True)
class Mark:
    """Which generation of which medium was extracted."""

    slug: str
    generation: int
    upload_id: str
    store_id: str


def metadata_json(medium: Medium, format: Format, count: int, store_id: str) -> bytes:
    """The metadata.json of so many frames in this format, with our mark."""
    fps = medium.fps or 0.0
    said = {
        "width": medium.width,
        "height": medium.height,
        "format": format.value,
        "fps": int(fps) if fps.is_integer() else fps,
        "frames": count,
        "title": _one_line(medium.title),
        _BY: _US,
        "slug": medium.slug,
        "generation": medium.generation,
        "upload": medium.upload_id,
        "store": store_id,
    }
    return json.dumps(said, indent=2, ensure_ascii=False).encode() + b"\n"


def mark_of(folder: Path) -> Mark | None:
    """The mark that a folder has; None: it has none, or one that cannot be read."""
    match _said(folder):
        case {"slug": str(slug), "generation": int(generation), "upload": str(upload_id), "store": str(store_id)}:
            return Mark(slug, generation, upload_id, store_id)
    return None


def not_ours(folder: Path) -> str | None:
    """What in a folder was not extracted, as :data:`.atomic_folder.Ours` says it. What systems put in unasked does not
    count."""
    names = [name for name in sorted(os.listdir(folder)) if name not in _LITTER]
    for name in names:
        if name not in (METADATA, FRAMES) or os.path.islink(folder / name):
            return f"{printable(name)}, which ferryman did not put there"
    if METADATA not in names:
        return "no metadata.json of ferryman's"
    return None if _said(folder) is not None else "a metadata.json that ferryman did not write"


def _said(folder: Path) -> dict[str, Any] | None:
    """What its metadata.json says, if it is ours."""
    try:
        descriptor, _ = open_regular(str(folder / METADATA), os.O_RDONLY)
        with open(descriptor, "rb") as file:
            said = json.loads(file.read(MAX_METADATA))
    except (OSError, StoreError, ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and said.get(_BY) == _US else None


def _one_line(title: str) -> str | None:
    """The title as a metadata.json may have it."""
    plain = "".join(char if unicodedata.category(char) not in _UNPRINTABLE else " " for char in title)
    return plain[:MAX_TITLE].strip() or None
