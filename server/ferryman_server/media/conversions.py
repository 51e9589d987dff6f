"""Making pictures of single frames, when somebody asks for them.

Two at a time, in threads: a picture takes a processor for milliseconds, and memory for all of its pixels. What was made
last is kept. One who leaves while waiting for a turn gives it up; one whose picture is being made keeps the turn until
the thread has noticed, so that there are never more than two.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ferryman_server.media.entries import Entry
from ferryman_server.media.frame_formats import Format
from ferryman_server.media.kept_pictures import KeptPictures, Key
from ferryman_server.media.picture_rules import BadPicture
from ferryman_server.media.piecing import Piece
from ferryman_server.media.unpacking import pieces
from ferryman_server.storage.base import Store
from ferryman_server.threads import in_thread

AT_ONCE: Final = 2
ROOM: Final = 8 << 20  # bytes of pictures that are kept
MOST_PIXELS: Final = 1 << 25  # of a frame, as many as 8K film has; each takes 4 bytes while a picture is made of it


@dataclass(frozen=True, slots=True)
class Conversion:
    """A picture that is to be made."""

    upload_id: str
    entry: Entry
    format: Format
    width: int  # pixels
    height: int
    etag: str
    make: Callable[[bytes, Format, int, int], bytes]  # of content, format, width and height

    @property
    def key(self) -> Key:
        """What it is kept under."""
        return self.upload_id, self.etag


class Conversions:
    """Makes them. To be used on the event loop."""

    def __init__(self, store: Store, *, room: int = ROOM) -> None:
        self._store = store
        self._kept = KeptPictures(room)
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def picture(self, wanted: Conversion) -> bytes:
        """The picture. Raises BadPicture, PicturesMissing and StoreError."""
        kept = self._kept.get(wanted.key)
        if kept is not None:
            return kept
        async with self._turns:
            kept = self._kept.get(wanted.key)  # somebody else wanted it too
            if kept is None:
                kept = await self._made(wanted)
                self._kept.put(wanted.key, kept)
            return kept

    async def _made(self, wanted: Conversion) -> bytes:
        making = _Making(self._store, wanted)
        work = in_thread(making.run)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            making.stopped = True
            await asyncio.wait([work])
            work.exception()  # nobody wants to know any more
            raise


class _Making:
    """One of them, in its thread."""

    def __init__(self, store: Store, wanted: Conversion) -> None:
        self._store = store
        self._wanted = wanted
        self.stopped = False

    def run(self) -> bytes:
        """The picture; nothing where nobody wants it any more."""
        wanted = self._wanted
        if max(wanted.width * wanted.height, wanted.entry.size // 4) > MOST_PIXELS:
            raise BadPicture(
                f"{wanted.width}×{wanted.height} pixels in {wanted.entry.size} bytes are too many to make a picture "
                f"of here: up to {MOST_PIXELS} pixels are taken"
            )
        content = self._content()
        return b"" if self.stopped else wanted.make(content, wanted.format, wanted.width, wanted.height)

    def _content(self) -> bytes:
        wanted, content = self._wanted, list[Piece]()
        for piece in pieces(self._store, wanted.upload_id, wanted.entry, 0, wanted.entry.size):
            content.append(piece)
            if self.stopped:
                break
        return b"".join(content)
