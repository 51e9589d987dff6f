"""A library that is a few dictionaries: what a backend is held against."""

from dataclasses import dataclass, field

from ferryman_server.state.media import Edit, Group, Medium, Publication, Published, Selection
from ferryman_server.state.testing_selection import fits, place_of


@dataclass(slots=True)
class Generation:
    """A published upload."""

    publication: Publication
    medium: int
    number: int
    replaced: str | None
    published_at: float
    together: list[str]  # the uploads that were published at once


@dataclass(slots=True)
class Shown:
    """A medium, without what is its active generation's."""

    slug: str
    title: str
    name: str
    owner: str | None
    created_at: float
    updated_at: float
    favourite: bool = False
    rating: int = 0
    views: int = 0
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class Model:
    """The library. Numbers and slugs are the backend's."""

    media: dict[int, Shown] = field(default_factory=dict)
    generations: dict[str, Generation] = field(default_factory=dict)  # by upload
    waiting: dict[str, list[Publication]] = field(default_factory=dict)  # of the one group there is, by owner
    over: set[str] = field(default_factory=set)  # uploads that are not complete any more
    ready: set[str] = field(default_factory=set)  # uploads whose archives are
    failed: set[str] = field(default_factory=set)
    leftovers: set[str] = field(default_factory=set)
    active: int | None = None

    # -- publishing ---------------------------------------------------------------------------------------------------

    def may_publish(self, publication: Publication) -> bool:
        """Whether it is not refused."""
        upload_id = publication.upload_id
        if upload_id in self.generations and not self.is_renewed(publication):
            return True
        if upload_id in self.over | self.leftovers:
            return False
        return publication.frames is None or upload_id not in self.failed

    def is_renewed(self, publication: Publication) -> bool:
        """Whether it is published, and its archive was looked at again."""
        upload_id = publication.upload_id
        return upload_id in self.generations and publication.frames is not None and upload_id not in self.ready

    def due(self, publication: Publication, group: Group | None) -> list[Publication]:
        """What is published now that this may be. It may also wait from now on."""
        if publication.upload_id in self.generations:
            return []
        if publication.frames is not None:
            self.ready.add(publication.upload_id)
        self.leave(publication.upload_id)
        if group is None:
            return [publication]
        waiting = self.waiting.setdefault(publication.owner or "", [])
        waiting[:] = [*(other for other in waiting if other.name != publication.name), publication]
        whole = list(waiting) if len(waiting) >= group.size else []
        if whole:
            waiting.clear()
        return whole

    def publish(self, publication: Publication, told: Published, now: float) -> None:
        """An upload is published under these numbers, and this slug if the medium is new."""
        medium = self.named(publication)
        replaced = None if medium is None else self.shown(medium).publication.upload_id
        new = Shown(told.slug, publication.title, publication.name, publication.owner, now, now)
        self.media.setdefault(told.medium, new).updated_at = now
        others = [each for each in self.generations.values() if each.published_at == now]
        together = others[0].together if others else []
        together.append(publication.upload_id)
        self.generations[publication.upload_id] = Generation(
            publication, told.medium, told.generation, replaced, now, together
        )

    def renew(self, publication: Publication, number: int, now: float) -> None:
        """A published upload is published anew, under this number."""
        generation = self.generations[publication.upload_id]
        if self.is_active(publication.upload_id):
            self.media[generation.medium].updated_at = now
        generation.publication, generation.number, generation.published_at = publication, number, now
        self.ready.add(publication.upload_id)

    def told(self, publication: Publication) -> list[Published]:
        """What publishing this, or publishing it again, tells."""
        generation = self.generations.get(publication.upload_id)
        together = [] if generation is None else generation.together
        return [self._told(upload_id) for upload_id in together if upload_id in self.generations]

    def _told(self, upload_id: str) -> Published:
        each = self.generations[upload_id]
        return Published(each.medium, self.media[each.medium].slug, each.number, upload_id, each.replaced)

    # -- what ends ----------------------------------------------------------------------------------------------------

    def leave(self, upload_id: str) -> None:
        """An upload waits no more."""
        for waiting in self.waiting.values():
            waiting[:] = [publication for publication in waiting if publication.upload_id != upload_id]

    def withdraw(self, upload_id: str) -> None:
        """An upload is published no more."""
        generation = self.generations.pop(upload_id, None)
        if generation is not None and not self._of(generation.medium):
            self._remove(generation.medium)

    def end(self, upload_id: str) -> None:
        """An upload is not complete any more."""
        self.over.add(upload_id)
        self.leftovers.discard(upload_id)
        self.leave(upload_id)
        self.withdraw(upload_id)

    def rewind(self, upload_id: str) -> None:
        """An archive is looked at again."""
        self.ready.discard(upload_id)
        self.failed.discard(upload_id)
        self.leave(upload_id)

    def settle(self, upload_id: str) -> None:
        """An archive was found wanting."""
        self.failed.add(upload_id)
        generation = self.generations.get(upload_id)
        if generation is not None and generation.publication.frames is not None:
            self.withdraw(upload_id)

    def delete(self, medium: int) -> list[str]:
        """People delete a medium; its uploads."""
        uploads = [each.publication.upload_id for each in self._of(medium)]
        for upload_id in uploads:
            del self.generations[upload_id]
        self.leftovers.update(uploads)
        self._remove(medium)
        return uploads

    def _remove(self, medium: int) -> None:
        del self.media[medium]
        self.active = None if self.active == medium else self.active

    # -- what people do -----------------------------------------------------------------------------------------------

    def edit(self, medium: int, edit: Edit, now: float) -> None:
        """They change a medium."""
        shown = self.media[medium]
        shown.title = shown.title if edit.title is None else edit.title
        shown.slug = shown.slug if edit.slug is None else edit.slug
        shown.tags = shown.tags if edit.tags is None else tuple(sorted(set(edit.tags)))
        shown.favourite = shown.favourite if edit.favourite is None else edit.favourite
        shown.rating = shown.rating if edit.rating is None else edit.rating
        shown.updated_at = now

    # -- what is told -------------------------------------------------------------------------------------------------

    def named(self, publication: Publication) -> int | None:
        """The medium that this is a generation of, once it is published."""
        key = publication.name, publication.owner
        return next((number for number, shown in self.media.items() if (shown.name, shown.owner) == key), None)

    def by_slug(self, slug: str) -> int | None:
        """The medium with this slug."""
        return next((number for number, shown in self.media.items() if shown.slug == slug), None)

    def medium_of(self, upload_id: str) -> int | None:
        """The medium that an upload is a generation of."""
        generation = self.generations.get(upload_id)
        return None if generation is None else generation.medium

    def shown(self, medium: int) -> Generation:
        """The active generation."""
        return self._of(medium)[-1]

    def is_active(self, upload_id: str) -> bool:
        """Whether a published upload is its medium's active generation."""
        return self.shown(self.generations[upload_id].medium).publication.upload_id == upload_id

    def arrived_with(self, upload_id: str) -> list[str] | None:
        """Who waits with an upload, itself included; None: it does not wait."""
        for waiting in self.waiting.values():
            uploads = [publication.upload_id for publication in waiting]
            if upload_id in uploads:
                return uploads
        return None

    def frames(self, upload_id: str) -> list[int]:
        """The entries that are an upload's frames."""
        generation = self.generations.get(upload_id)
        return [] if generation is None or upload_id not in self.ready else list(generation.publication.frames or ())

    def medium(self, number: int) -> Medium:
        """What the library tells of a medium."""
        shown, generation = self.media[number], self.shown(number)
        facts = generation.publication
        return Medium(
            id=number,
            slug=shown.slug,
            title=shown.title,
            name=shown.name,
            owner=shown.owner,
            upload_id=facts.upload_id,
            generation=generation.number,
            kind=facts.kind,
            size=facts.size,
            content_type=facts.content_type,
            width=facts.width,
            height=facts.height,
            format=facts.format,
            fps=facts.fps,
            frames=None if facts.frames is None else len(facts.frames),
            duration=facts.duration,
            created_at=shown.created_at,
            published_at=generation.published_at,
            updated_at=shown.updated_at,
            favourite=shown.favourite,
            rating=shown.rating,
            views=shown.views,
            tags=shown.tags,
            ready=(),
        )

    def listing(self, selection: Selection) -> list[Medium]:
        """All media of a selection, in its order."""
        media = [medium for medium in map(self.medium, self.media) if fits(medium, selection)]
        return sorted(
            media, key=lambda medium: (*place_of(medium, selection.sort), medium.id), reverse=selection.descending
        )

    def _of(self, medium: int) -> list[Generation]:
        found = (each for each in self.generations.values() if each.medium == medium)
        return sorted(found, key=lambda each: each.number)
