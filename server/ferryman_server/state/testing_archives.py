"""What every state backend promises about the indexes of archives; part of :class:`MediaTests`."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import State, StateError
from ferryman_server.state.media import MOST_THUMBS, Archive, IndexedEntry, NotIndexing, Thumb
from ferryman_server.state.testing_media_records import (
    OVER,
    a_file,
    a_film,
    end,
    entry,
    indexed,
    published,
    to_phase,
    upload_in,
)
from ferryman_server.state.testing_records import new_id


class ArchivesTests:
    """Indexes that grow while uploads run."""

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

    async def test_index_begins_empty_and_once(self, state: State) -> None:
        """A new index is at the beginning; beginning again tells how far it is by now."""
        upload_id = await upload_in(state, Phase.RECEIVING)
        assert await state.archives.get(upload_id) is None
        begun = await state.archives.begin(upload_id, 5.0)
        assert begun == Archive(upload_id=upload_id, phase="indexing", updated_at=5.0)
        await state.archives.advance(upload_id, offset=7, checkpoint="x", now=6.0, entries=[entry(0)])
        assert await state.archives.begin(upload_id, 9.0) == replace(
            begun, offset=7, checkpoint="x", entries=1, updated_at=6.0
        )

    @pytest.mark.parametrize("phase", OVER)
    async def test_what_is_over_is_not_indexed(self, state: State, phase: Phase) -> None:
        """Neither an upload that is over nor one that never was gets an index."""
        for upload_id in (await upload_in(state, phase), new_id()):
            with pytest.raises(NotIndexing, match=upload_id):
                await state.archives.begin(upload_id, 1.0)
            assert await state.archives.get(upload_id) is None

    async def test_entries_come_back_whole_and_in_order(self, state: State) -> None:
        """Every field survives, with a picture and without, at the edges of what a ZIP holds; any stretch is told."""
        upload_id = await upload_in(state)
        await state.archives.begin(upload_id, 1.0)
        large = 1 << 62
        entries = [
            entry(0, name='ä „x“ "y" \\ 漢字/', offset=0, data=0, packed=0, size=0, crc=0, flags=0),
            IndexedEntry(entry(1, offset=large, data=large, packed=large, size=large, method=93, flags=65535).entry),
            *(entry(number) for number in range(2, 700)),
        ]
        await state.archives.advance(upload_id, offset=9, checkpoint=None, now=2.0, entries=entries)
        assert list(await state.archives.entries(upload_id)) == entries
        assert list(await state.archives.entries(upload_id, 1, 2)) == entries[1:3]
        assert list(await state.archives.entries(upload_id, 698, 100)) == entries[698:]
        assert list(await state.archives.entries(upload_id, 1 << 70)) == []
        assert list(await state.archives.entries(upload_id, 0, 0)) == []
        assert list(await state.archives.entries(new_id())) == []

    async def test_walker_may_repeat_itself(self, state: State) -> None:
        """The same again is nothing; what comes late, behind the present offset, changes nothing."""
        upload_id = await upload_in(state)
        archives = state.archives
        await archives.begin(upload_id, 1.0)
        first, second = [entry(0), entry(1)], [entry(2)]
        thumbs = [Thumb(0, b"jpeg")]
        for _ in range(2):
            await archives.advance(upload_id, offset=20, checkpoint="a", now=2.0, entries=first, thumbs=thumbs)
        await archives.advance(upload_id, offset=30, checkpoint="b", now=3.0, entries=second)
        before = await archives.get(upload_id)
        await archives.advance(upload_id, offset=20, checkpoint="a", now=4.0, entries=first, thumbs=[Thumb(1, b"no")])
        assert await archives.get(upload_id) == before
        assert list(await archives.entries(upload_id)) == [*first, *second]
        assert list(await archives.thumb_numbers(upload_id)) == [0]

    async def test_what_was_found_outlives_the_process(self, state: State, tmp_path: Path) -> None:
        """A walker of the next process finds entries, checkpoint and thumbs, and the archives that are not done."""
        upload_id, done = await indexed(state), await indexed(state)
        await state.archives.settle(done, "not-frames", "no pictures", 3.0)
        await state.archives.advance(
            upload_id, offset=4000, checkpoint='{"n": 4}', now=4.0, entries=[entry(3)], thumbs=[Thumb(3, b"jpeg")]
        )
        await state.close()
        again = self.make(tmp_path)
        await again.open()
        try:
            archive = Archive(
                upload_id=upload_id, phase="indexing", offset=4000, entries=4, checkpoint='{"n": 4}', updated_at=4.0
            )
            assert list(await again.archives.unsettled()) == [archive]
            assert list(await again.archives.entries(upload_id)) == [entry(number) for number in range(4)]
            assert await again.archives.thumb(upload_id, 3) == b"jpeg"
        finally:
            await again.close()

    async def test_thumbs_are_few_and_small(self, state: State) -> None:
        """Beyond the most there may be they are dropped; one that is too large is refused with all that came along."""
        upload_id, archives = await upload_in(state), state.archives
        await archives.begin(upload_id, 1.0)
        thumbs = [Thumb(number, b"%d" % number) for number in range(MOST_THUMBS + 5)]
        await archives.advance(upload_id, offset=1, checkpoint=None, now=2.0, thumbs=thumbs[:40])
        await archives.advance(upload_id, offset=2, checkpoint=None, now=2.0, thumbs=thumbs[40:])
        assert list(await archives.thumb_numbers(upload_id)) == list(range(MOST_THUMBS))
        assert await archives.thumb(upload_id, 63) == b"63"
        assert await archives.thumb(upload_id, 64) is None
        assert await archives.thumb(upload_id, 1 << 70) is None
        await archives.drop_thumbs(upload_id)
        assert list(await archives.thumb_numbers(upload_id)) == []
        with pytest.raises(StateError):
            await archives.advance(
                upload_id, offset=3, checkpoint=None, now=2.0, entries=[entry(0)], thumbs=[Thumb(0, b"x" * 8193)]
            )
        archive = await archives.get(upload_id)
        assert archive is not None
        assert (archive.offset, archive.entries) == (2, 0)

    async def test_settled_archive_keeps_only_its_reason(self, state: State) -> None:
        """Nothing is left of what was found, and nothing may be added."""
        upload_id = await indexed(state)
        await state.archives.advance(upload_id, offset=3000, checkpoint="x", now=2.0, thumbs=[Thumb(0, b"jpeg")])
        await state.archives.settle(upload_id, "failed", "entry 3 lies", 3.0)
        archive = await state.archives.get(upload_id)
        assert archive is not None
        assert (archive.phase, archive.reason, archive.entries) == ("failed", "entry 3 lies", 0)
        assert archive.checkpoint is None
        assert list(await state.archives.entries(upload_id)) == []
        assert list(await state.archives.thumb_numbers(upload_id)) == []
        with pytest.raises(NotIndexing, match="failed"):
            await state.archives.advance(upload_id, offset=9000, checkpoint=None, now=4.0)
        with pytest.raises(NotIndexing):
            await state.archives.settle(new_id(), "failed", "?", 4.0)

    async def test_archive_that_is_dropped_leaves_its_upload_over(self, state: State) -> None:
        """It is told when the upload is complete, until it is terminated; others stay."""
        kept, upload_id = await indexed(state), await indexed(state, phase=Phase.RECEIVING)
        await state.archives.settle(kept, "failed", "entry 3 lies", 3.0)
        await state.archives.settle(upload_id, "failed", "entry 3 lies", 3.0, drop=True)
        assert (await state.library.leftovers(9)).uploads == ()
        await to_phase(state, upload_id, Phase.COMPLETE)
        assert (await state.library.leftovers(9)).uploads == (upload_id,)
        await to_phase(state, upload_id, Phase.TERMINATED)
        assert (await state.library.leftovers(9)).uploads == ()

    async def test_rewound_archive_starts_anew(self, state: State) -> None:
        """Settled or not, it is at its beginning again; without an index there is nothing to rewind."""
        archives = state.archives
        for settled in (False, True):
            upload_id = await indexed(state)
            if settled:
                await archives.settle(upload_id, "failed", "?", 3.0)
            fresh = Archive(upload_id=upload_id, phase="indexing", updated_at=4.0)
            assert await archives.rewind(upload_id, 4.0) == fresh
            assert list(await archives.entries(upload_id)) == []
            await archives.advance(upload_id, offset=1, checkpoint=None, now=5.0, entries=[entry(0, name="other")])
        assert await archives.rewind(new_id(), 4.0) is None

    async def test_several_are_told_at_once(self, state: State) -> None:
        """A listing of uploads asks for all of its indexes."""
        one, other, plain = await indexed(state, 1), await indexed(state, 2), await upload_in(state)
        found = await state.archives.get_many([one, plain, other, new_id()])
        assert {upload_id: archive.entries for upload_id, archive in found.items()} == {one: 1, other: 2}
        assert await state.archives.get_many([]) == {}

    @pytest.mark.parametrize("phase", [*OVER, None])
    async def test_index_ends_with_its_upload(self, state: State, phase: Phase | None) -> None:
        """Whatever ends an upload, running or complete, leaves nothing of its index; its walker is told to stop."""
        other = await indexed(state)
        for before in (Phase.RECEIVING, Phase.COMPLETE):
            upload_id = await indexed(state, phase=before)
            await state.archives.advance(upload_id, offset=3000, checkpoint="x", now=2.0, thumbs=[Thumb(0, b"jpeg")])
            await end(state, upload_id, phase)
            assert await state.archives.get(upload_id) is None
            assert list(await state.archives.entries(upload_id)) == []
            assert await state.archives.thumb(upload_id, 0) is None
            with pytest.raises(NotIndexing):
                await state.archives.advance(upload_id, offset=9000, checkpoint=None, now=4.0)
        assert len(await state.archives.entries(other)) == 3

    async def test_index_stays_while_its_upload_goes_on(self, state: State) -> None:
        """From the first byte to the last an upload changes its phase, and its index does not mind."""
        upload_id = await indexed(state, phase=Phase.EMPTY)
        for phase in (Phase.RECEIVING, Phase.FINISHING, Phase.COMPLETE):
            await to_phase(state, upload_id, phase)
            assert len(await state.archives.entries(upload_id)) == 3

    async def test_settling_withdraws_what_was_published(self, state: State) -> None:
        """An archive that was looked at again and found wanting is no medium any more; a plain file remains one."""
        film, notes = await indexed(state), await indexed(state)
        await published(state, a_film(film))
        await published(state, a_file(notes))
        for upload_id in (film, notes):
            await state.archives.rewind(upload_id, 20.0)
            await state.archives.settle(upload_id, "failed", "?", 21.0)
        assert await state.library.by_upload(film) is None
        assert await state.library.by_upload(notes) is not None

    async def test_archives_grow_side_by_side(self, state: State) -> None:
        """Indexes that are committed in one group stay apart, and one that is gone spoils none of the others."""
        uploads = [await upload_in(state) for _ in range(5)]
        for upload_id in uploads[:4]:
            await state.archives.begin(upload_id, 1.0)
        outcomes = await asyncio.gather(
            *(
                state.archives.advance(
                    upload_id, offset=1, checkpoint=None, now=2.0, entries=[entry(0, name=upload_id)]
                )
                for upload_id in uploads
            ),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [*[type(None)] * 4, NotIndexing]
        for upload_id in uploads[:4]:
            assert [each.entry.name for each in await state.archives.entries(upload_id)] == [upload_id]
