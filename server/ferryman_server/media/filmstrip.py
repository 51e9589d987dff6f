"""Small pictures of a running upload: a few of the frames that pass, so that a person sees them before the last byte.

They are chosen while they pass, since on S3 nothing can be read again before the upload is complete. At most four a
second and 64 an upload are kept, each a JPEG of at most 8 KiB: they cost next to nothing, and more would not be
looked at.
"""

from collections.abc import Callable
from typing import Final

from ferryman_server.media.entries import Entry
from ferryman_server.media.frame_formats import BYTES_A_PIXEL, Format
from ferryman_server.media.frame_set import may_be_frame
from ferryman_server.media.metadata import BadMetadata, parse_metadata
from ferryman_server.media.picture_size import PictureSize
from ferryman_server.media.pictures import BadPicture, PicturesMissing, thumbnail
from ferryman_server.media.zip_bodies import Taste
from ferryman_server.media.zip_index import Coming
from ferryman_server.state.media import LARGEST_THUMB, MOST_THUMBS, Thumb

APART: Final = 0.25  # seconds between two of them
LARGEST: Final = 16 << 20  # bytes of a frame that is looked at


class Filmstrip:
    """Chooses frames, and makes small pictures of them."""

    def __init__(self, clock: Callable[[], float], *, made: int = 0) -> None:
        """`clock` in seconds; `made`: how many there are already."""
        self._clock = clock
        self._left = MOST_THUMBS - made
        self._due = float("-inf")
        self._content: tuple[int, bytearray] | None = None  # of the entry that was chosen, by its number

    def __call__(self, coming: Coming) -> Taste | None:
        """What hears the content of the entry that comes, if a picture is to be made of it."""
        if self._content is not None:
            return None  # it has passed, or does, and is developed when it was told
        if self._left <= 0 or self._clock() < self._due or not may_be_frame(coming.name):
            return None
        if coming.size is not None and coming.size > LARGEST:
            return None
        content = bytearray()
        self._content = (coming.number, content)
        return lambda piece: content.extend(piece[: LARGEST + 1 - len(content)])

    def developed(self, entry: Entry, size: PictureSize | None, metadata: Callable[[], bytes | None]) -> Thumb | None:
        """The small picture of an entry that has passed, if one was to be made and what it shows is known. `size`:
        what it says of itself as a picture; `metadata` tells the metadata.json, if it has come: few entries ask."""
        if self._content is None or self._content[0] != entry.number:
            return None
        content, self._content = self._content[1], None
        known = _shape(entry, size, metadata)
        if known is None or len(content) != entry.size:
            return None
        try:
            jpeg = thumbnail(bytes(content), *known, most=LARGEST_THUMB)
        except (BadPicture, PicturesMissing):
            return None
        self._left -= 1
        self._due = self._clock() + APART
        return Thumb(entry.number, jpeg)


def _shape(
    entry: Entry, size: PictureSize | None, metadata: Callable[[], bytes | None]
) -> tuple[Format, int, int] | None:
    if size is not None:
        return size.format, size.width, size.height
    text = metadata()
    if text is None:
        return None
    try:
        said = parse_metadata(text)
    except BadMetadata:
        return None
    if said.width * said.height * BYTES_A_PIXEL.get(said.format, 0) != entry.size:
        return None
    return said.format, said.width, said.height
