"""A backend's library held against a plain model, by Hypothesis: inherit :class:`LibraryMachine` and supply `make`."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from ferryman_protocol.model import Phase
from ferryman_server.state.base import State
from ferryman_server.state.media import Edit, Group, Publication, Published, PublishError, Selection, SlugTaken
from ferryman_server.state.media_slugs import is_slug
from ferryman_server.state.testing_library_model import Model
from ferryman_server.state.testing_media_records import a_film, end, entry, indexed, walk_media

T = TypeVar("T")

_ENTRIES: Final = [entry(number) for number in range(3)]
_titles = st.sampled_from(["Film", "film 2", "Film 10", "Où", "猫", "Active"])
_names = st.sampled_from(["a.zip", "b.zip"])
_owners = st.sampled_from([None, "ann"])
_groups = st.none() | st.just(Group("trip", 2))
_frames = st.none() | st.lists(st.integers(0, 2), max_size=3)
_phases = st.none() | st.sampled_from([phase for phase in Phase if phase is not Phase.COMPLETE])
_media = st.integers(0, 9)  # which of those that there are, or none
_edits = st.builds(
    Edit,
    title=st.none() | _titles | st.text(st.characters(codec="utf-8"), max_size=6),
    slug=st.none() | st.sampled_from(["film", "one", "two"]),
    tags=st.none() | st.lists(st.sampled_from(["a", "Bee", "ç"]), max_size=3),
    favourite=st.none() | st.booleans(),
    rating=st.none() | st.integers(0, 5),
)
_selections = st.builds(
    Selection,
    sort=st.sampled_from(["name", "date", "size", "duration", "rating", "views"]),
    descending=st.booleans(),
    search=st.none() | st.sampled_from(["film", "FILM 1", "o", "10", "ou zip", "bee", "c", "猫", "x", "a.zip"]),
    tag=st.none() | st.sampled_from(["a", "Bee"]),
    kind=st.none() | st.sampled_from(["frames", "file"]),
    favourite=st.none() | st.booleans(),
)
# Without it, Hypothesis would throw away every run that draws from an empty bundle.
_some_uploads = precondition(lambda machine: bool(machine.bundle("uploads")))


class LibraryMachine(RuleBasedStateMachine):
    """A backend and a model, told the same things, must say the same things."""

    uploads = Bundle("uploads")

    def make(self, place: Path) -> State:
        """A backend that is not open yet; the same place means the same data."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        """Open an empty backend beside an empty model."""
        self.folder = Path(tempfile.mkdtemp(prefix="ferryman-library-"))
        self.runner = asyncio.Runner()
        self.model = Model()
        self.highest_medium = self.highest_generation = 0
        self.now = 0.0
        self.state = self.make(self.folder)
        self.wait(self.state.open())

    def teardown(self) -> None:
        """Close and clean up."""
        self.wait(self.state.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one call on the machine's loop."""
        return self.runner.run(coroutine)

    @rule(target=uploads)
    def upload(self) -> str:
        """A complete upload, an archive of three entries."""
        return self.wait(indexed(self.state, len(_ENTRIES)))

    @_some_uploads
    @rule(upload_id=uploads, name=_names, owner=_owners, title=_titles, frames=_frames, group=_groups)
    def publish(
        self,
        upload_id: str,
        name: str,
        owner: str | None,
        title: str,
        frames: list[int] | None,
        group: Group | None,
    ) -> None:
        """Publish any upload there ever was, in a group or by itself."""
        self.now += 1
        size = len(name) + len(frames or ())
        kind = "file" if frames is None else "frames"
        film = a_film(upload_id, (), name, owner=owner, title=title, size=size, kind=kind)
        publication = replace(film, frames=frames)
        call = self.state.library.publish([publication], self.now, group)
        if not self.model.may_publish(publication):
            with pytest.raises(PublishError, match=upload_id):
                self.wait(call)
            return
        told = self.wait(call)
        due = self.model.due(publication, group)
        if due:
            self._published(due, told)
        elif self.model.is_renewed(publication):
            self._renewed(publication, told)
        assert list(told) == self.model.told(publication)

    @_some_uploads
    @rule(upload_id=uploads, settled=st.booleans())
    def rewind(self, upload_id: str, settled: bool) -> None:
        """Look at an archive again, perhaps to find it wanting."""
        archives = self.state.archives
        if self.wait(archives.rewind(upload_id, self.now)) is None:
            assert upload_id in self.model.over
            return
        self.model.rewind(upload_id)
        if settled:
            self.wait(archives.settle(upload_id, "failed", "?", self.now))
            self.model.settle(upload_id)
        else:
            self.wait(archives.advance(upload_id, offset=9, checkpoint=None, now=self.now, entries=_ENTRIES))

    @_some_uploads
    @rule(upload_id=uploads, phase=_phases)
    def end(self, upload_id: str, phase: Phase | None) -> None:
        """An upload is terminated, fails, is received anew, or its row goes."""
        if upload_id not in self.model.over:
            self.wait(end(self.state, upload_id, phase))
            self.model.end(upload_id)

    @rule(which=_media, edit=_edits)
    def edit(self, which: int, edit: Edit) -> None:
        """People change a medium, perhaps to a slug that is taken."""
        self.now += 1
        medium, slug = self._chosen(which)
        call = self.state.library.edit(slug, edit, self.now)
        if medium is None:
            assert self.wait(call) is None
        elif edit.slug is not None and self.model.by_slug(edit.slug) not in (None, medium):
            with pytest.raises(SlugTaken):
                self.wait(call)
        else:
            self.model.edit(medium, edit, self.now)
            assert self.wait(call) == self.model.medium(medium)

    @rule(which=_media)
    def delete(self, which: int) -> None:
        """People delete a medium."""
        medium, slug = self._chosen(which)
        uploads = self.wait(self.state.library.delete(slug))
        assert uploads == (None if medium is None else self.model.delete(medium))

    @rule(which=_media, shown=st.booleans())
    def look(self, which: int, shown: bool) -> None:
        """A medium is viewed, and perhaps shown by the player."""
        medium, slug = self._chosen(which)
        views = self.wait(self.state.library.viewed(slug))
        if medium is None:
            assert views is None
            assert not self.wait(self.state.library.set_active(slug))
            return
        self.model.media[medium].views += 1
        assert views == self.model.media[medium].views
        if shown:
            assert self.wait(self.state.library.set_active(slug))
            self.model.active = medium

    @rule()
    def reopen(self) -> None:
        """Stop and start."""
        self.wait(self.state.close())
        self.state = self.make(self.folder)
        self.wait(self.state.open())

    @rule(selection=_selections, limit=st.integers(1, 4))
    def list_pages(self, selection: Selection, limit: int) -> None:
        """Walk a listing."""
        assert self.wait(walk_media(self.state, selection, limit)) == self.model.listing(selection)

    @_some_uploads
    @rule(upload_id=uploads)
    def ask(self, upload_id: str) -> None:
        """Ask what has become of an upload, and for its frames."""
        medium = self.model.medium_of(upload_id)
        found = self.wait(self.state.library.by_upload(upload_id))
        assert found == (None if medium is None else self.model.medium(medium))
        pending = self.wait(self.state.library.pending(upload_id))
        assert (None if pending is None else list(pending.arrived)) == self.model.arrived_with(upload_id)
        rows = self.wait(self.state.library.frames_of(upload_id, 0, 99))
        assert [row.indexed.entry.number for row in rows] == self.model.frames(upload_id)

    @invariant()
    def media_agree(self) -> None:
        """All media, the player's and what is left over are the model's."""
        if not hasattr(self, "state"):
            return
        library = self.state.library
        selection = Selection(sort="views", descending=False)
        assert self.wait(walk_media(self.state, selection)) == self.model.listing(selection)
        active = None if self.model.active is None else self.model.medium(self.model.active)
        assert self.wait(library.active()) == active
        assert set(self.wait(library.leftovers(1000)).uploads) == self.model.leftovers

    def _chosen(self, which: int) -> tuple[int | None, str]:
        media = sorted(self.model.media)
        return (media[which], self.model.media[media[which]].slug) if which < len(media) else (None, "nobody")

    def _published(self, due: Sequence[Publication], told: Sequence[Published]) -> None:
        """Take the numbers and the slugs from what was told, after a look at them."""
        assert [each.upload_id for each in told] == [publication.upload_id for publication in due]
        for publication, each in zip(due, told, strict=True):
            medium = self.model.named(publication)
            if medium is None:
                assert each.medium > self.highest_medium
                assert is_slug(each.slug)
                assert self.model.by_slug(each.slug) is None
                self.highest_medium = each.medium
            assert each.medium == (medium or each.medium)
            assert each.generation > self.highest_generation
            self.highest_generation = each.generation
            self.model.publish(publication, each, self.now)

    def _renewed(self, publication: Publication, told: Sequence[Published]) -> None:
        (generation,) = (each.generation for each in told if each.upload_id == publication.upload_id)
        if self.model.is_active(publication.upload_id):
            assert generation > self.highest_generation
            self.highest_generation = generation
        self.model.renew(publication, generation, self.now)
