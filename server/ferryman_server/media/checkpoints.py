"""A walker's checkpoint as the state keeps it."""

import json
from collections.abc import Sequence

from ferryman_server.media.following import Begun
from ferryman_server.media.zip_index import Checkpoint
from ferryman_server.state.media import IndexedEntry


def text(checkpoint: Checkpoint) -> str:
    """The checkpoint as text."""
    return json.dumps({"offset": checkpoint.offset, "entries": checkpoint.entries, "unpacked": checkpoint.unpacked})


def begun(text: str, entries: Sequence[IndexedEntry], thumbs: int) -> Begun:
    """What an earlier process has kept: its checkpoint, the entries before it, and how many thumbs there are."""
    return Begun(Checkpoint(**json.loads(text)), entries, thumbs)
