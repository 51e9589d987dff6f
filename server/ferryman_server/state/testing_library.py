"""What every state backend promises about the library; part of :class:`MediaTests`."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import State, StateError
from ferryman_server.state.media import Derived, Edit, Facts, Leftovers, PublishError, Selection, SlugTaken
from ferryman_server.state.testing_groups import GroupTests
from ferryman_server.state.testing_listing import ListingTests
from ferryman_server.state.testing_media_records import (
    a_file,
    a_film,
    delete,
    entry,
    indexed,
    published,
    published_file,
    to_phase,
)
from ferryman_server.state.testing_publishing import PublishingTests
from ferryman_server.state.testing_records import new_id
from ferryman_server.state.testing_withdrawing import WithdrawingTests

POSTER = Derived(upload_id="", kind="poster", state="ready", place="p/1", size=9, content_type="image/jpeg")


class LibraryTests(PublishingTests, WithdrawingTests, GroupTests, ListingTests):
    """Media, and what people, players and the background do with them."""

    def make(self, place: Path) -> State:
        """A backend that is not open yet; the same place means the same data."""
        raise NotImplementedError

    @pytest.fixture
    async def state(self, tmp_path: Path) -> AsyncIterator[State]:
        """An open, empty backend."""
        state = self.make(tmp_path)
        await state.open()
        yield state
        await state.close()

    async def test_unknown_media_are_nothing(self, state: State) -> None:
        """A slug or an upload that names no medium is a value, not an error."""
        library = state.library
        assert await library.get("none") is None
        assert await library.by_upload(new_id()) is None
        assert await library.edit("none", Edit(rating=1), 1.0) is None
        assert await library.delete("none") is None
        assert await library.viewed("none") is None
        assert await library.frame("none", 0) is None
        assert await library.derived_of("none", "poster") is None
        assert await library.pending(new_id()) is None

    async def test_a_medium_is_told_in_each_of_its_generations(self, state: State) -> None:
        """What was replaced is told as it was, as long as its upload is there; under the medium's own slug only."""
        library = state.library
        first = await published_file(state, size=3)
        second = await published_file(state, size=5)
        before = await library.get(first.slug, first.generation)
        assert before is not None
        assert await library.get(first.slug, second.generation) == await library.get(first.slug)
        assert (before.upload_id, before.size, before.generation) == (first.upload_id, 3, first.generation)
        assert await library.get("none", first.generation) is None
        assert await library.get(first.slug, second.generation + 1) is None
        await delete(state, first.upload_id)
        assert await library.get(first.slug, first.generation) is None

    async def test_edit_changes_what_is_named(self, state: State) -> None:
        """Everything else stays; an edit that names nothing changes nothing but the time."""
        told = await published_file(state)
        before = await state.library.get("notes")
        assert before is not None
        edited = await state.library.edit("notes", Edit(title="New", tags=["b", "a", "b"], favourite=True), 20.0)
        expected = replace(before, title="New", tags=("a", "b"), favourite=True, updated_at=20.0)
        assert edited == await state.library.get("notes") == expected
        edited = await state.library.edit("notes", Edit(slug="other", rating=5), 21.0)
        expected = replace(expected, slug="other", rating=5, updated_at=21.0)
        assert edited == await state.library.get("other") == expected
        assert await state.library.get("notes") is None
        edited = await state.library.edit("other", Edit(tags=[], favourite=False, slug="other"), 22.0)
        assert edited == replace(expected, tags=(), favourite=False, updated_at=22.0)
        assert await state.library.edit("other", Edit(), 23.0) == replace(edited, updated_at=23.0)
        assert await state.library.by_upload(told.upload_id) == replace(edited, updated_at=23.0)

    async def test_taken_slug_is_refused(self, state: State) -> None:
        """Nothing of such an edit is done."""
        await published_file(state, title="One")
        await published_file(state, "two", title="Two")
        before = await state.library.get("two")
        with pytest.raises(SlugTaken, match="one"):
            await state.library.edit("two", Edit(slug="one", title="Else"), 20.0)
        assert await state.library.get("two") == before

    async def test_impossible_rating_is_refused(self, state: State) -> None:
        """The schema guards the shape."""
        await published_file(state)
        with pytest.raises(StateError):
            await state.library.edit("notes", Edit(rating=6, tags=["x"]), 20.0)
        medium = await state.library.get("notes")
        assert medium is not None
        assert (medium.rating, medium.tags) == (0, ())

    async def test_tags_are_counted(self, state: State) -> None:
        """Every tag there is, in order; a medium that goes takes its tags along."""
        for number, tags in enumerate((["b", "a"], ["b"], ["B"])):
            told = await published_file(state, f"{number}.txt")
            await state.library.edit(told.slug, Edit(tags=tags), 1.0)
        assert list(await state.library.tags()) == [("B", 1), ("a", 1), ("b", 2)]
        await state.library.delete("notes")
        assert list(await state.library.tags()) == [("B", 1), ("b", 1)]

    async def test_views_are_counted(self, state: State) -> None:
        """Each view is told as it was counted, and is no edit."""
        await published_file(state)
        before = await state.library.get("notes")
        assert before is not None
        assert [await state.library.viewed("notes") for _ in range(3)] == [1, 2, 3]
        assert await state.library.get("notes") == replace(before, views=3)

    async def test_player_shows_one_medium(self, state: State) -> None:
        """Nothing at first, then what was said last; what is gone is not shown, a new slug or generation is."""
        library = state.library
        assert await library.active() is None
        for title in ("One", "Two"):
            await published_file(state, title, title=title)
            assert await library.set_active(title.lower())
        assert await library.active() == await library.get("two")
        assert not await library.set_active("none")
        assert await library.active() == await library.get("two")
        await library.edit("two", Edit(slug="second"), 1.0)
        told = await published_file(state, "Two")
        active = await library.active()
        assert active is not None
        assert (active.slug, active.generation) == ("second", told.generation)
        await library.delete("second")
        assert await library.active() is None
        assert await library.set_active("one")
        assert await library.set_active(None)
        assert await library.active() is None

    async def test_frames_are_told_one_by_one_and_together(self, state: State) -> None:
        """Any stretch of them, however its ends are; outside there are none."""
        upload_id = await indexed(state, 300)
        told = await published(state, a_film(upload_id, tuple(range(299, -1, -1))))
        frame = await state.library.frame("a-film", 7)
        assert frame is not None
        assert (frame.n, frame.upload_id, frame.generation) == (7, upload_id, told.generation)
        assert frame.indexed == entry(292)
        huge = 1 << 70
        stretches = (
            (0, 300, range(300)),
            (298, huge, (298, 299)),
            (-5, 2, (0, 1)),
            (5, 5, ()),
            (9, 3, ()),
            (-huge, 1, (0,)),
        )
        for start, stop, expected in stretches:
            for rows in (
                await state.library.frames("a-film", start, stop),
                await state.library.frames_of(upload_id, start, stop),
            ):
                assert [(row.n, row.indexed.entry.number) for row in rows] == [(n, 299 - n) for n in expected]
        for n in (-1, 300, 1 << 70, -(1 << 70)):
            assert await state.library.frame("a-film", n) is None

    async def test_frames_of_what_is_not_published_are_none(self, state: State) -> None:
        """Entries are provisional until then."""
        assert list(await state.library.frames_of(await indexed(state), 0, 9)) == []

    async def test_derived_is_what_was_put_last(self, state: State) -> None:
        """Wanted, ready, failed: each replaces the other; what a new generation has is its own."""
        library = state.library
        told = await published_file(state, derived=["poster", "sheet"])
        poster = replace(POSTER, upload_id=told.upload_id, updated_at=5.0)
        sheet = Derived(upload_id=told.upload_id, kind="sheet", state="failed", reason="no picture", updated_at=6.0)
        assert await library.put_derived(told.generation, [poster, sheet])
        assert list(await library.derived(told.upload_id)) == [poster, sheet]
        assert await library.derived_of("notes", "poster") == poster
        assert await library.derived_of("notes", "preview") is None
        medium = await library.get("notes")
        assert medium is not None
        assert medium.ready == ("poster",)
        await published_file(state)
        assert await library.derived_of("notes", "poster") is None
        assert list(await library.derived(told.upload_id)) == [poster, sheet]

    async def test_nothing_is_derived_of_what_is_gone(self, state: State) -> None:
        """Whoever made it is told, and frees it."""
        told = await published_file(state)
        await to_phase(state, told.upload_id, Phase.TERMINATED)
        assert not await state.library.put_derived(told.generation, [replace(POSTER, upload_id=told.upload_id)])
        assert await state.library.leftovers(9) == Leftovers((), ())

    async def test_nothing_is_derived_of_another_generation(self, state: State) -> None:
        """All that is recorded at once is of one upload, and of the number that it was made for."""
        told, other = await published_file(state), await published_file(state)
        for generation, upload_id in ((told.generation, other.upload_id), (other.generation + 1, other.upload_id)):
            assert not await state.library.put_derived(generation, [replace(POSTER, upload_id=upload_id)])
        assert list(await state.library.derived(other.upload_id)) == []

    async def test_facts_that_are_found_later_are_the_mediums(self, state: State) -> None:
        """What is not known stays as it is; the listing by duration knows of it at once."""
        told = await published_file(state)
        await published_file(state, "other.txt")
        facts = Facts(width=640, height=360, duration=12.5)
        assert await state.library.put_derived(told.generation, [], facts)
        medium = await state.library.get("notes")
        assert medium is not None
        assert (medium.width, medium.height, medium.fps, medium.duration) == (640, 360, None, 12.5)
        assert await state.library.put_derived(told.generation, [], Facts(fps=25.0))
        longest = await state.library.listing(Selection(sort="duration"), 1)
        assert [(each.slug, each.duration, each.fps) for each in longest.media] == [("notes", 12.5, 25.0)]

    async def test_facts_of_a_replaced_generation_are_its_own(self, state: State) -> None:
        """The medium goes on showing what the active one is."""
        told, shown = await published_file(state), await published_file(state)
        assert await state.library.put_derived(told.generation, [], Facts(duration=9.0))
        assert (await state.library.get("notes")) == await state.library.get("notes", shown.generation)
        replaced = await state.library.get("notes", told.generation)
        assert replaced is not None
        assert replaced.duration == 9.0

    async def test_derived_place_that_is_given_up_is_left_over(self, state: State) -> None:
        """Made elsewhere, failed or gone with its medium: its bytes are to be freed, until that is told."""
        told = await published_file(state)
        poster = replace(POSTER, upload_id=told.upload_id)
        for derived in (poster, poster, replace(poster, place="p/2"), replace(poster, state="failed", place=None)):
            assert await state.library.put_derived(told.generation, [derived])
        assert (await state.library.leftovers(9)).places == ("p/1", "p/2")
        await state.library.put_derived(told.generation, [replace(poster, place="p/3")])
        await state.library.freed(["p/1", "none"])
        await state.library.delete("notes")
        assert (await state.library.leftovers(9)).places == ("p/2", "p/3")
        assert (await state.library.leftovers(1)).places == ("p/2",)

    async def test_deleted_medium_leaves_its_uploads(self, state: State) -> None:
        """They are told, and told again until each is terminated or its row is gone; its name starts anew."""
        library = state.library
        told = [await published_file(state) for _ in range(3)]
        uploads = [each.upload_id for each in told]
        assert list(await library.delete("notes") or ()) == uploads
        assert await library.get("notes") is None
        assert set((await library.leftovers(9)).uploads) == set(uploads)
        assert len((await library.leftovers(2)).uploads) == 2
        with pytest.raises(PublishError, match="deleted"):
            await library.publish([a_file(uploads[2])], 20.0)
        await to_phase(state, uploads[0], Phase.TERMINATED)
        await delete(state, uploads[1])
        assert (await library.leftovers(9)).uploads == (uploads[2],)
        again = await published_file(state)
        assert (again.slug, again.replaced) == ("notes", None)
        assert again.generation > told[2].generation
        assert again.medium > told[2].medium

    async def test_closed_state_has_no_media(self, state: State) -> None:
        """After closing, calls fail in plain words instead of hanging."""
        await state.close()
        for call in (
            state.library.get("notes"),
            state.library.delete("notes"),
            state.archives.get(new_id()),
            state.archives.rewind(new_id(), 1.0),
            state.outbox.jobs(1),
            state.outbox.free_taken(),
        ):
            with pytest.raises(StateError):
                await call
