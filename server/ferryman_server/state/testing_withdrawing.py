"""What every state backend promises about media whose uploads end; part of :class:`LibraryTests`."""

import asyncio

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.state.base import State
from ferryman_server.state.media import Derived, Edit, PublishError
from ferryman_server.state.testing_media_records import (
    a_file,
    a_film,
    end,
    indexed,
    published,
    published_file,
    to_phase,
    upload_in,
)


class WithdrawingTests:
    """What was published goes with its uploads, in the same commit."""

    @pytest.mark.parametrize("phase", [*(phase for phase in Phase if phase is not Phase.COMPLETE), None])
    async def test_medium_goes_with_its_only_upload(self, state: State, phase: Phase | None) -> None:
        """Whatever makes an upload anything but complete takes its medium along: tags, player, derived and all."""
        upload_id = await indexed(state)
        told = await published(state, a_film(upload_id, derived=["poster", "sheet"]))
        await state.library.edit("a-film", Edit(tags=["x"]), 11.0)
        await state.library.set_active("a-film")
        await state.library.put_derived(
            told.generation,
            [
                Derived(
                    upload_id=upload_id, kind="poster", state="ready", place="p/1", size=9, content_type="image/jpeg"
                )
            ],
        )
        await end(state, upload_id, phase)
        assert await state.library.get("a-film") is None
        assert await state.library.by_upload(upload_id) is None
        assert await state.library.active() is None
        assert list(await state.library.tags()) == []
        assert list(await state.library.derived(upload_id)) == []
        assert list(await state.library.frames_of(upload_id, 0, 9)) == []
        assert await state.archives.get(upload_id) is None
        assert (await state.library.leftovers(9)).places == ("p/1",)

    @pytest.mark.parametrize("phase", [Phase.TERMINATED, Phase.RECEIVING, None])
    async def test_medium_falls_back_to_its_newest_other_upload(self, state: State, phase: Phase | None) -> None:
        """It then is again what that one was, with all that people gave it; its numbers are not used again."""
        told = []
        for count in (1, 2):
            film = a_film(await indexed(state), (0, 1)[:count], size=count, duration=None)
            told.append(await published(state, film, 10.0 + count))
        told.append(await published(state, a_file(await upload_in(state), "film.zip"), 20.0))
        await state.library.edit("a-film", Edit(tags=["x"], rating=3), 21.0)
        await state.library.set_active("a-film")
        for expected in (told[1], told[0]):
            gone = await state.library.get("a-film")
            assert gone is not None
            await end(state, gone.upload_id, phase)
            medium = await state.library.active()
            assert medium is not None
            count = expected.generation - told[0].generation + 1
            assert (medium.generation, medium.upload_id) == (expected.generation, expected.upload_id)
            assert (medium.kind, medium.size, medium.frames) == ("frames", count, count)
            assert medium.published_at == 10.0 + count
            assert (medium.title, medium.tags, medium.rating) == ("A film", ("x",), 3)
            assert len(await state.library.frames("a-film", 0, 9)) == count
        assert (await published_file(state, "film.zip")).generation > told[2].generation

    async def test_end_of_a_replaced_upload_leaves_the_medium(self, state: State) -> None:
        """What is not shown is not missed."""
        old, new = await published_file(state), await published_file(state)
        before = await state.library.get("notes")
        await end(state, old.upload_id, Phase.TERMINATED)
        assert await state.library.get("notes") == before
        assert await state.library.by_upload(old.upload_id) is None
        await end(state, new.upload_id, Phase.TERMINATED)
        assert await state.library.get("notes") is None

    async def test_end_that_comes_with_the_publication_wins(self, state: State) -> None:
        """In whichever order they are committed, an upload that is over is no medium."""
        for first in (True, False):
            upload_id = await upload_in(state)
            acts = [state.library.publish([a_file(upload_id)], 1.0), to_phase(state, upload_id, Phase.TERMINATED)]
            outcomes = await asyncio.gather(*(acts if first else acts[::-1]), return_exceptions=True)
            assert all(outcome is None or isinstance(outcome, list | PublishError) for outcome in outcomes)
            assert await state.library.by_upload(upload_id) is None
