"""What every state backend promises about publishing; part of :class:`LibraryTests`."""

from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import State
from ferryman_server.state.media import Derived, Edit, Medium, NotIndexing, PublishError
from ferryman_server.state.outbox import Job
from ferryman_server.state.testing_media_records import (
    a_file,
    a_film,
    end,
    entry,
    indexed,
    published,
    published_file,
    upload_in,
)
from ferryman_server.state.testing_records import new_id


class PublishingTests:
    """Uploads that become media, one or several at once."""

    def make(self, place: Path) -> State:
        """A backend that is not open yet; the same place means the same data."""
        raise NotImplementedError

    async def test_published_archive_is_a_medium_with_frames(self, state: State) -> None:
        """All that was said of it is told, its frames come in their order, and its index is ready."""
        upload_id = await indexed(state)
        told = await published(state, a_film(upload_id, (2, 0, 1), owner="ann"), 10.0)
        medium = Medium(
            id=told.medium,
            slug="a-film",
            title="A film",
            name="film.zip",
            owner="ann",
            upload_id=upload_id,
            generation=told.generation,
            kind="frames",
            size=3000,
            content_type="application/zip",
            width=320,
            height=240,
            format="png",
            fps=12.5,
            frames=3,
            duration=0.24,
            created_at=10.0,
            published_at=10.0,
            updated_at=10.0,
            favourite=False,
            rating=0,
            views=0,
            tags=(),
            ready=(),
        )
        assert (told.slug, told.upload_id, told.replaced) == ("a-film", upload_id, None)
        assert await state.library.get("a-film") == medium
        assert await state.library.by_upload(upload_id) == medium
        frames = await state.library.frames("a-film", 0, 99)
        assert [(row.n, row.indexed) for row in frames] == [(0, entry(2)), (1, entry(0)), (2, entry(1))]
        assert {(row.upload_id, row.generation) for row in frames} == {(upload_id, told.generation)}
        archive = await state.archives.get(upload_id)
        assert archive is not None
        assert archive.phase == "ready"
        with pytest.raises(NotIndexing, match="ready"):
            await state.archives.advance(upload_id, offset=9000, checkpoint=None, now=11.0)

    async def test_ordinary_file_is_a_medium_without_frames(self, state: State) -> None:
        """What is unknown of it stays unknown."""
        told = await published_file(state)
        medium = await state.library.get(told.slug)
        assert medium is not None
        assert (medium.kind, medium.width, medium.frames, medium.duration, medium.fps) == ("file", *[None] * 4)
        assert list(await state.library.frames(told.slug, 0, 9)) == []

    async def test_same_name_is_a_new_generation(self, state: State) -> None:
        """What people gave a medium stays, its content is the new upload's, and the old one is told."""
        first = await published(state, a_film(await indexed(state)), 10.0)
        await state.library.edit("a-film", Edit(title="Mine", slug="mine", tags=["x"], favourite=True, rating=4), 11.0)
        await state.library.viewed("mine")
        upload_id = await indexed(state, 5)
        again = a_film(upload_id, (4, 3), title="Another", size=7, width=10, duration=None)
        second = await published(state, again, 20.0)
        assert (second.medium, second.slug, second.replaced) == (first.medium, "mine", first.upload_id)
        assert second.generation > first.generation
        medium = await state.library.get("mine")
        assert medium is not None
        assert (medium.title, medium.tags, medium.favourite, medium.rating) == ("Mine", ("x",), True, 4)
        assert (medium.upload_id, medium.generation, medium.size, medium.width, medium.frames, medium.duration) == (
            *(upload_id, second.generation),
            *(7, 10, 2, None),
        )
        assert (medium.views, medium.created_at, medium.published_at) == (1, 10.0, 20.0)
        assert [row.indexed for row in await state.library.frames("mine", 0, 9)] == [entry(4), entry(3)]
        assert await state.library.by_upload(first.upload_id) == medium
        assert [row.n for row in await state.library.frames_of(first.upload_id, 1, 9)] == [1, 2]

    async def test_names_of_other_owners_are_other_media(self, state: State) -> None:
        """Two people may call their files the same; nobody's is nobody's."""
        told = [await published_file(state, owner=owner) for owner in (None, "ann", "bob", "ann", None)]
        assert [each.slug for each in told] == ["notes", "notes-2", "notes-3", "notes-2", "notes"]
        assert [each.replaced for each in told] == [None, None, None, told[1].upload_id, told[0].upload_id]

    @pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.COMPLETE])
    async def test_only_complete_uploads_are_published(self, state: State, phase: Phase) -> None:
        """One that is not spoils all that were to be published with it, and the reason names it."""
        sound, bad = await upload_in(state), await upload_in(state, phase)
        for upload_id in (bad, new_id()):
            with pytest.raises(PublishError, match=upload_id):
                await state.library.publish([a_file(sound), a_file(upload_id, "other")], 1.0)
            assert await state.library.by_upload(sound) is None
        assert await state.library.get("notes") is None

    async def test_publishing_again_is_nothing_and_tells_the_same(self, state: State) -> None:
        """A repetition changes nothing, even if it says something else; it tells all that were published together."""
        one, other = a_file(await upload_in(state), "one"), a_film(await indexed(state), jobs=[Job("poster", "a")])
        told = await state.library.publish([one, other], 1.0)
        assert [each.upload_id for each in told] == [one.upload_id, other.upload_id]
        before = await state.library.get("a-film"), await state.outbox.jobs(9)
        for publication in (one, replace(other, title="Else", width=1), replace(other, name="else")):
            assert await state.library.publish([publication], 2.0) == told
        assert (await state.library.get("a-film"), await state.outbox.jobs(9)) == before

    async def test_replaced_upload_again_stays_replaced(self, state: State) -> None:
        """A repetition that comes late does not bring the old content back."""
        first = a_file(await upload_in(state))
        told = await published(state, first)
        second = await published_file(state)
        assert await published(state, first) == told
        medium = await state.library.get("notes")
        assert medium is not None
        assert medium.upload_id == second.upload_id

    async def test_frames_must_be_in_the_index(self, state: State) -> None:
        """Frames that are no entries, an index that is settled, and none at all: refused, nothing changed."""
        short, failed, none = await indexed(state, 2), await indexed(state), await upload_in(state)
        await state.archives.settle(failed, "failed", "?", 3.0)
        for upload_id, words in ((short, "entries"), (failed, "failed"), (none, "no index")):
            with pytest.raises(PublishError, match=words):
                await state.library.publish([a_film(upload_id)], 4.0)
        archive = await state.archives.get(short)
        assert archive is not None
        assert archive.phase == "indexing"

    async def test_work_is_put_out_with_the_medium(self, state: State) -> None:
        """Jobs and what is to be derived are there as soon as the medium is."""
        upload_id = await upload_in(state)
        jobs = [Job("poster", upload_id), Job("sheet", upload_id, '{"n": 2}')]
        await published(state, a_file(upload_id, derived=["sheet", "poster", "sheet"], jobs=jobs), 7.0)
        assert [job.job for job in await state.outbox.jobs(9)] == jobs
        assert list(await state.library.derived(upload_id)) == [
            Derived(upload_id=upload_id, kind=kind, state="wanted", updated_at=7.0) for kind in ("poster", "sheet")
        ]

    async def test_what_was_published_outlives_the_process(self, state: State, tmp_path: Path) -> None:
        """Media and frames are there after closing and opening again, and numbers go on rising."""
        told = await published(state, a_film(await indexed(state)))
        medium, frames = await state.library.get("a-film"), await state.library.frames("a-film", 0, 9)
        await state.close()
        again = self.make(tmp_path)
        await again.open()
        try:
            assert await again.library.get("a-film") == medium
            assert await again.library.frames("a-film", 0, 9) == frames
            assert (await published_file(again)).generation > told.generation
        finally:
            await again.close()

    async def test_rewound_archive_is_published_anew(self, state: State) -> None:
        """The medium stays with all that people gave it; a new number tells that its frames may be others, and what was
        derived is to be derived again."""
        upload_id = await indexed(state)
        film = a_film(upload_id, derived=["poster"], jobs=[Job("poster", upload_id)])
        first = await published(state, film, 10.0)
        await state.library.edit("a-film", Edit(rating=5), 11.0)
        await state.library.put_derived(
            first.generation,
            [
                Derived(
                    upload_id=upload_id, kind="poster", state="ready", place="p/1", size=9, content_type="image/jpeg"
                )
            ],
        )
        await state.outbox.finish((await state.outbox.jobs(1))[0].id)
        await state.archives.rewind(upload_id, 12.0)
        assert list(await state.library.frames("a-film", 0, 9)) == []
        await state.archives.advance(upload_id, offset=9, checkpoint=None, now=13.0, entries=[entry(0), entry(1)])
        second = await published(state, replace(film, frames=(1, 0), width=160), 14.0)
        assert second.generation > first.generation
        assert replace(second, generation=first.generation) == first
        medium = await state.library.get("a-film")
        assert medium is not None
        assert (medium.rating, medium.generation, medium.frames, medium.width) == (5, second.generation, 2, 160)
        assert (medium.published_at, medium.ready) == (14.0, ())
        assert [row.indexed.entry.number for row in await state.library.frames("a-film", 0, 9)] == [1, 0]
        assert (await state.library.leftovers(9)).places == ("p/1",)
        assert len(await state.outbox.jobs(9)) == 1
        assert (await published(state, film, 15.0)) == second

    async def test_replaced_archive_that_is_rewound_stays_replaced(self, state: State) -> None:
        """Only the active generation is shown, also when an older one is looked at again."""
        old = await indexed(state)
        told = await published(state, a_film(old))
        new = await published(state, a_film(await indexed(state)))
        await state.archives.rewind(old, 12.0)
        await state.archives.advance(old, offset=9, checkpoint=None, now=13.0, entries=[entry(0)])
        assert await published(state, a_film(old, (0,)), 14.0) == told
        medium = await state.library.get("a-film")
        assert medium is not None
        assert (medium.generation, medium.upload_id) == (new.generation, new.upload_id)
        await end(state, new.upload_id, Phase.TERMINATED)
        medium = await state.library.get("a-film")
        assert medium is not None
        assert (medium.generation, medium.frames) == (told.generation, 1)

    async def test_titles_make_slugs_that_differ(self, state: State) -> None:
        """Taken and reserved ones get a number; a title that makes none leaves it to the file's name."""
        titles = ["Été à la plage!", "Ete a la plage", "été-à-la-plage", "Active", "假期", "", "../..", "7"]
        names = [f"{number} Holiday.tar.zip" for number in range(len(titles))]
        told = [await published_file(state, name, title=title) for name, title in zip(names, titles, strict=True)]
        assert [each.slug for each in told] == [
            *("ete-a-la-plage", "ete-a-la-plage-2", "ete-a-la-plage-3", "active-2"),
            *("4-holiday-tar", "5-holiday-tar-zip", "6-holiday-tar", "medium-7"),
        ]
        untitled = await state.library.get("5-holiday-tar-zip")
        assert untitled is not None
        assert untitled.title == names[5]

    async def test_many_of_one_title_find_a_slug(self, state: State) -> None:
        """A hundred times the same title are a hundred slugs, and one that was given back is used again."""
        told = [await published_file(state, f"{number}.txt") for number in range(100)]
        assert sorted(each.slug for each in told) == sorted(["notes", *(f"notes-{n}" for n in range(2, 101))])
        await state.library.delete("notes")
        assert (await published_file(state, "another.txt")).slug == "notes"
