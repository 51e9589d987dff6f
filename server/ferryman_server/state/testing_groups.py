"""What every state backend promises about uploads that are published together; part of :class:`LibraryTests`."""

from pathlib import Path

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import State
from ferryman_server.state.media import Group, PublishError, Waiting
from ferryman_server.state.outbox import Job
from ferryman_server.state.testing_media_records import (
    a_file,
    a_film,
    end,
    indexed,
    published_file,
    upload_in,
)
from ferryman_server.state.testing_records import new_id

PAIR = Group("trip", 2)


class GroupTests:
    """Uploads that are published at once or not at all."""

    def make(self, place: Path) -> State:
        """A backend that is not open yet; the same place means the same data."""
        raise NotImplementedError

    async def test_group_is_published_when_all_have_arrived(self, state: State) -> None:
        """Until then nothing of it is seen; then all of it is, in the order in which it came, with its work."""
        library, group = state.library, Group("trip", 3)
        film = a_film(await indexed(state), (2, 1), derived=["poster"], jobs=[Job("poster", "film")], fps=0.1)
        video = a_file(await upload_in(state), "trip.mp4", title="Trip", kind="video", jobs=[Job("poster", "video")])
        notes = a_file(await upload_in(state))
        for publication in (film, video):
            for _ in range(2):
                assert list(await library.publish([publication], 1.0, group)) == []
                assert await library.by_upload(publication.upload_id) is None
        assert await library.pending(film.upload_id) == Waiting(group, (film.upload_id, video.upload_id))
        assert list(await state.outbox.jobs(9)) == []
        told = await library.publish([notes], 2.0, group)
        assert [each.slug for each in told] == ["a-film", "trip", "notes"]
        assert [each.upload_id for each in told] == [film.upload_id, video.upload_id, notes.upload_id]
        assert [await library.pending(each.upload_id) for each in told] == [None] * 3
        assert [job.job.key for job in await state.outbox.jobs(9)] == ["film", "video"]
        medium = await library.get("a-film")
        assert medium is not None
        assert (medium.frames, medium.fps, medium.published_at) == (2, 0.1, 2.0)
        assert [row.indexed.entry.number for row in await library.frames("a-film", 0, 9)] == [2, 1]
        for publication in (notes, film):
            assert list(await library.publish([publication], 3.0, group)) == list(told)

    async def test_group_may_come_at_once(self, state: State) -> None:
        """One call can bring all of it, or what was missing."""
        one, two = a_file(await upload_in(state), "one"), a_file(await upload_in(state), "two")
        told = await state.library.publish([one, two], 1.0, PAIR)
        assert [each.upload_id for each in told] == [one.upload_id, two.upload_id]

    async def test_waiting_outlives_the_process(self, state: State, tmp_path: Path) -> None:
        """The other half of a group may come in another run of the server."""
        film = a_film(await indexed(state))
        await state.library.publish([film], 1.0, PAIR)
        await state.close()
        again = self.make(tmp_path)
        await again.open()
        try:
            notes = a_file(await upload_in(again))
            told = await again.library.publish([notes], 2.0, PAIR)
            assert [each.upload_id for each in told] == [film.upload_id, notes.upload_id]
            assert len(await again.library.frames("a-film", 0, 9)) == 3
        finally:
            await again.close()

    async def test_later_upload_of_a_name_takes_its_place(self, state: State) -> None:
        """A file that was sent again while its group waits is there once, and the later one counts."""
        old, new, other = [a_file(await upload_in(state), name) for name in ("same", "same", "other")]
        for publication in (old, new):
            assert list(await state.library.publish([publication], 1.0, PAIR)) == []
        assert await state.library.pending(old.upload_id) is None
        told = await state.library.publish([other], 2.0, PAIR)
        assert [each.upload_id for each in told] == [new.upload_id, other.upload_id]
        assert await state.library.by_upload(old.upload_id) is None

    async def test_groups_of_other_owners_are_other_groups(self, state: State) -> None:
        """The same word is no way into what somebody else publishes."""
        mine = a_file(await upload_in(state), "mine", owner="ann")
        theirs = a_file(await upload_in(state), "theirs", owner="bob")
        for publication in (mine, theirs):
            assert list(await state.library.publish([publication], 1.0, PAIR)) == []
        assert await state.library.pending(mine.upload_id) == Waiting(PAIR, (mine.upload_id,))

    async def test_members_must_agree_how_many_they_are(self, state: State) -> None:
        """Who says otherwise is refused, and the others wait on."""
        one, two = a_file(await upload_in(state), "one"), a_file(await upload_in(state), "two")
        await state.library.publish([one], 1.0, PAIR)
        with pytest.raises(PublishError, match=r"of 3.*has 2"):
            await state.library.publish([two], 1.0, Group("trip", 3))
        assert await state.library.pending(two.upload_id) is None
        assert len(await state.library.publish([two], 1.0, PAIR)) == 2

    @pytest.mark.parametrize("phase", [Phase.TERMINATED, Phase.FAILED, Phase.RECEIVING, None])
    async def test_upload_that_is_over_waits_no_more(self, state: State, phase: Phase | None) -> None:
        """The others wait until another one has come in its place."""
        one, two, three = [a_file(await upload_in(state), name) for name in ("one", "two", "three")]
        await state.library.publish([one], 1.0, PAIR)
        await end(state, one.upload_id, phase)
        assert await state.library.pending(one.upload_id) is None
        assert list(await state.library.publish([two], 1.0, PAIR)) == []
        told = await state.library.publish([three], 1.0, PAIR)
        assert [each.upload_id for each in told] == [two.upload_id, three.upload_id]

    async def test_waiting_upload_may_be_published_alone(self, state: State) -> None:
        """It waits no more, and the others do not take it along again."""
        one, two, three = [a_file(await upload_in(state), name) for name in ("one", "two", "three")]
        await state.library.publish([one], 1.0, PAIR)
        alone = await state.library.publish([one], 2.0)
        assert [each.upload_id for each in alone] == [one.upload_id]
        assert await state.library.pending(one.upload_id) is None
        assert list(await state.library.publish([two], 3.0, PAIR)) == []
        told = await state.library.publish([three], 4.0, PAIR)
        assert [each.upload_id for each in told] == [two.upload_id, three.upload_id]

    @pytest.mark.parametrize("settled", [True, False])
    async def test_archive_that_is_looked_at_again_waits_no_more(self, state: State, settled: bool) -> None:
        """What is not ready is not published behind its back when the others come."""
        film, notes = a_film(await indexed(state)), a_file(await upload_in(state))
        await state.library.publish([film], 1.0, PAIR)
        if settled:
            await state.archives.settle(film.upload_id, "failed", "?", 2.0)
        else:
            await state.archives.rewind(film.upload_id, 2.0)
        assert await state.library.pending(film.upload_id) is None
        assert list(await state.library.publish([notes], 3.0, PAIR)) == []

    async def test_incomplete_upload_does_not_join(self, state: State) -> None:
        """The others wait on as if it had not come."""
        one = a_file(await upload_in(state), "one")
        await state.library.publish([one], 1.0, PAIR)
        for upload_id in (await upload_in(state, Phase.RECEIVING), new_id()):
            with pytest.raises(PublishError):
                await state.library.publish([a_file(upload_id, "two")], 1.0, PAIR)
        assert await state.library.pending(one.upload_id) == Waiting(PAIR, (one.upload_id,))

    async def test_group_makes_new_generations_together(self, state: State) -> None:
        """Media that were there are switched in the same commit in which others are made."""
        old = await published_file(state)
        notes, other = a_file(await upload_in(state)), a_file(await upload_in(state), "other", title="Other")
        await state.library.publish([notes], 1.0, PAIR)
        medium = await state.library.get("notes")
        assert medium is not None
        assert medium.upload_id == old.upload_id
        told = await state.library.publish([other], 2.0, PAIR)
        assert [(each.slug, each.replaced) for each in told] == [("notes", old.upload_id), ("other", None)]
