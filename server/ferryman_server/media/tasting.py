"""What is kept of the entries' content while an archive passes: metadata.json, and how large pictures are."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from ferryman_server.media.archive_layout import find_metadata, is_metadata
from ferryman_server.media.entries import Entry
from ferryman_server.media.frame_formats import ending_of, picture_format
from ferryman_server.media.metadata import MAX_METADATA
from ferryman_server.media.picture_size import PictureSize, Sizer
from ferryman_server.media.zip_bodies import Taste
from ferryman_server.media.zip_index import Coming

Fetch: TypeAlias = Callable[[Entry], bytes | None]

MOST_CANDIDATES: Final = 4  # files that may turn out to be the metadata.json: an archive of frames has one


def _nothing(_: Entry) -> None:
    return None


def both(first: Taste | None, second: Taste | None) -> Taste | None:
    """What has two hear the same content; either may not want to."""
    if first is None or second is None:
        return first or second

    def tell(piece: bytes | memoryview) -> None:
        first(piece)
        second(piece)

    return tell


class Tastes:
    """Asked about each entry, as a walker's taster; what it says holds for entries that the walker has told."""

    def __init__(self) -> None:
        self._texts: dict[int, bytearray] = {}
        self._sizers: dict[int, Sizer] = {}

    def __call__(self, coming: Coming) -> Taste | None:
        """What hears the content of the entry that comes, if anything of it is kept."""
        number = coming.number
        if is_metadata(coming.name) and len(self._texts) < MOST_CANDIDATES:
            text = self._texts[number] = bytearray()

            def keep(piece: bytes | memoryview) -> None:
                text.extend(piece[: MAX_METADATA + 1 - len(text)])  # a byte too many says that it is too long

            return keep
        if picture_format(ending_of(coming.name)) is not None:
            sizer = self._sizers[number] = Sizer()
            return lambda piece: None if sizer.done else _ignore(sizer.feed(piece))
        return None

    def metadata(self, entries: Sequence[Entry], fetch: Fetch = _nothing) -> bytes | None:
        """The content of the metadata.json that describes an archive with these entries; None where there is none, or
        it is too long. `fetch` reads what has passed before this was there to hear it."""
        entry = find_metadata(entries)
        if entry is None or entry.size > MAX_METADATA:
            return None
        text = self._texts.get(entry.number)
        return fetch(entry) if text is None else bytes(text)

    @property
    def first_text(self) -> bytes | None:
        """The content of the first that may turn out to be the metadata.json; asked between entries."""
        return next((bytes(text) for text in self._texts.values()), None)

    def size(self, number: int) -> PictureSize | None:
        """How large the picture in this entry is; None: it is none. It is forgotten then."""
        sizer = self._sizers.pop(number, None)
        return None if sizer is None else sizer.size


def _ignore(_: object) -> None:
    pass
