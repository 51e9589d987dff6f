"""What a client says in its tus metadata about what becomes of an upload: `process`, `group` and `group_size`."""

from dataclasses import dataclass
from typing import Final

from ferryman_protocol.metadata import parse_metadata
from ferryman_protocol.model import Upload
from ferryman_server.state.media import Group

LARGEST_GROUP: Final = 1000  # uploads
LONGEST_NAME: Final = 200  # characters of a group's name


@dataclass(frozen=True, slots=True)
class Wishes:
    """What it says."""

    process: bool = True  # False: it is a file, whatever it looks like
    group: Group | None = None


def wishes_of(upload: Upload) -> Wishes:
    """Read them. What makes no sense is as if it were not there: it never refuses an upload."""
    if upload.metadata is None:
        return Wishes()
    try:
        metadata = parse_metadata(upload.metadata)
    except ValueError:
        return Wishes()
    process = (metadata.text("process") or "").strip().lower() != "none"
    return Wishes(process, _group(metadata.text("group"), metadata.text("group_size")))


def _group(name: str | None, size: str | None) -> Group | None:
    if not name or len(name) > LONGEST_NAME or not size or not size.isascii() or not size.isdigit() or len(size) > 4:
        return None
    return Group(name, int(size)) if 2 <= int(size) <= LARGEST_GROUP else None
