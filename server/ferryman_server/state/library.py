"""The library: what was published, in the order and with the marks that people give it.

The contract is that of :mod:`.base` (a method that returns has committed durably, one that raises has changed nothing,
the driver's errors are StateError, the caller validates), and:

- Publishing is one commit, for one upload or for all of a group: frames, media, wanted work. Only complete uploads are
  published.
- A medium shows the generation that was published last. When that one's upload is deleted, terminated or no longer
  complete, the same commit shows the newest of the others, or removes the medium with everything people gave it.
- The number of a generation is given once in the life of a library. Slug and generation name the same bytes for ever.
- What nothing refers to any more is told by `leftovers` until it has been freed.
"""

from collections.abc import Sequence
from typing import Protocol

from ferryman_server.state.media import (
    NO_FACTS,
    Derived,
    Edit,
    Facts,
    FrameRow,
    Group,
    Leftovers,
    MediaPage,
    Medium,
    Publication,
    Published,
    Selection,
    Waiting,
)


class Library(Protocol):
    """What every backend's library does."""

    async def publish(
        self, publications: Sequence[Publication], now: float, group: Group | None = None
    ) -> Sequence[Published]:
        """Publish these uploads, all or none, and tell what has become of them.

        Their archives are ready then. The same name of the same owner is a new generation of the same medium: slug,
        title and what people gave it stay. Of a `group` nothing is published before as many names of it have arrived as
        it has: until then the answer is empty, and then it tells of all of them. What is already published stays as it
        is and is told again, with all that was published at once with it; but an archive that was rewound is published
        anew, in the same place. Raises PublishError.
        """

    async def pending(self, upload_id: str) -> Waiting | None:
        """The group that this upload waits for; None: it does not wait."""

    async def get(self, slug: str, generation: int | None = None) -> Medium | None:
        """One medium, as it is in this generation, active or not; None: in the active one."""

    async def by_upload(self, upload_id: str) -> Medium | None:
        """The medium that this upload is a generation of, the active one or another."""

    async def listing(self, selection: Selection, limit: int, cursor: str | None = None) -> MediaPage:
        """A page of media. Raises ValueError for a cursor that is not of a listing in this order."""

    async def tags(self) -> Sequence[tuple[str, int]]:
        """Every tag there is, in order, and how many media have it."""

    async def edit(self, slug: str, edit: Edit, now: float) -> Medium | None:
        """Change a medium; None: there is none. Raises SlugTaken."""

    async def delete(self, slug: str) -> Sequence[str] | None:
        """Remove a medium. The uploads that it consisted of, to be terminated now; they are `leftovers` until then.
        None: there is no such medium."""

    async def viewed(self, slug: str) -> int | None:
        """Count a view. How many there are now; None: there is no such medium."""

    async def active(self) -> Medium | None:
        """What the player shows."""

    async def set_active(self, slug: str | None) -> bool:
        """Say what the player shows. False: there is no such medium, and nothing was changed."""

    async def frame(self, slug: str, n: int) -> FrameRow | None:
        """A frame of a medium."""

    async def frames(self, slug: str, start: int, stop: int) -> Sequence[FrameRow]:
        """Frames of a medium from `start` up to, not including, `stop`; fewer where it ends before."""

    async def frames_of(self, upload_id: str, start: int, stop: int) -> Sequence[FrameRow]:
        """The same of one generation, active or not."""

    async def derived(self, upload_id: str) -> Sequence[Derived]:
        """What was made of this generation, by kind."""

    async def derived_of(self, slug: str, kind: str) -> Derived | None:
        """What of this kind was made of a medium's active generation."""

    async def put_derived(self, generation: int, derived: Sequence[Derived], facts: Facts = NO_FACTS) -> bool:
        """Record what was made of a generation, or that it could not be, and what was found in its bytes. False: there
        is no such generation of that upload (any more), and nothing was recorded. A place that one had before is left
        over."""

    async def leftovers(self, limit: int) -> Leftovers:
        """What is to be freed: up to so many of each."""

    async def freed(self, places: Sequence[str]) -> None:
        """These places of what was derived are free. A generation that is made anew comes into the places it had: the
        caller sees to it that none is freed that is named, or about to be."""
