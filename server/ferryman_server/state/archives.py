"""The indexes of uploaded archives: which entries there are, committed while the upload runs.

The contract is that of :mod:`.base` (a method that returns has committed durably, one that raises has changed nothing,
the driver's errors are StateError), and:

- One walker at a time works on an archive; the caller sees to that. It goes on from `offset` and `checkpoint`.
- An index goes with its upload: the commit that deletes, terminates, expires, fails or invalidates the upload, or makes
  one that was complete anything else, removes all of it.
- Entries are provisional until the library publishes the archive: that makes it `ready`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from ferryman_server.state.media import Archive, IndexedEntry, Thumb


class Archives(Protocol):
    """What every backend's archives do."""

    async def begin(self, upload_id: str, now: float) -> Archive:
        """Start an index. One that is there is told as it is. Raises NotIndexing when the upload is gone or over."""

    async def get(self, upload_id: str) -> Archive | None:
        """How far the index of this upload is; None: it has none."""

    async def get_many(self, upload_ids: Sequence[str]) -> Mapping[str, Archive]:
        """The same for several uploads: those that have one."""

    async def advance(
        self,
        upload_id: str,
        *,
        offset: int,
        checkpoint: str | None,
        now: float,
        entries: Sequence[IndexedEntry] = (),
        thumbs: Sequence[Thumb] = (),
    ) -> None:
        """Add what was found and move on to this offset, all in one commit. Raises NotIndexing.

        What is there already stays as it is, so that a walker may repeat itself; an offset behind the present one
        changes nothing at all. Thumbs beyond MOST_THUMBS are dropped.
        """

    async def rewind(self, upload_id: str, now: float) -> Archive | None:
        """Forget what was found, settled or not, and start anew; None: there is no index.

        A medium that shows it has no frames until it is published again, which gives it a new generation.
        """

    async def settle(
        self,
        upload_id: str,
        phase: Literal["not-frames", "failed"],
        reason: str,
        now: float,
        *,
        drop: bool = False,
    ) -> None:
        """It holds no frames to publish: forget what was found and keep the reason. What was published of it is
        withdrawn. With `drop`, the same commit leaves the upload over (:meth:`.library.Library.leftovers`) as soon as
        it is complete. Raises NotIndexing when it is gone."""

    async def entries(self, upload_id: str, start: int = 0, limit: int | None = None) -> Sequence[IndexedEntry]:
        """Entries in their order, from this number on; None: all of them."""

    async def thumb_numbers(self, upload_id: str) -> Sequence[int]:
        """Which entries have a thumb, in order."""

    async def thumb(self, upload_id: str, number: int) -> bytes | None:
        """The thumb of an entry as JPEG."""

    async def drop_thumbs(self, upload_id: str) -> None:
        """Forget the filmstrip: there is something better to show."""

    async def unsettled(self) -> Sequence[Archive]:
        """Every archive that is being indexed: start-up goes on with them."""
