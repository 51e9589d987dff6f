"""What was made of media that are gone is freed: at once, later when the store refuses, never what is still named."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ferryman_server.media.derivatives import FILM, SHEET
from ferryman_server.media_leftovers import free_leftovers, free_places
from ferryman_server.reaper import SPARED
from ferryman_server.settings import Settings
from ferryman_server.state.media import Derived
from ferryman_server.storage.testing_derived import LATER, OTHERS
from ferryman_server.uploads import Uploads
from tests.server import derived_rig
from tests.server.derived_rig import files_of
from tests.server.media_api_rig import Rig, archive, running, until


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A running application."""
    async with running() as made:
        yield made


async def make(rig: Rig, medium: dict[str, object], *kinds: str) -> list[str]:
    """Make these of a medium; their places."""
    upload_id, generation = str(medium["upload"]), int(str(medium["generation"]))
    library, store = rig.house.state.library, rig.house.store
    return [await derived_rig.make(library, store, upload_id, kind, generation=generation) for kind in kinds]


def held(rig: Rig) -> set[str]:
    """The places where something lies."""
    return {kept.place for kept in files_of(rig.house.store).places()}


async def left(rig: Rig) -> set[str]:
    """The places that the library tells to be left over."""
    return set((await rig.house.state.library.leftovers(100)).places)


async def test_what_was_made_of_a_deleted_medium_is_freed_soon(rig: Rig) -> None:
    """Of all its generations, without waiting for a round; and what was made of another is not touched."""
    gone = await make(rig, await rig.medium(), SHEET, FILM)
    gone += await make(rig, await rig.medium(data=archive(5)), SHEET)
    kept = await make(rig, await rig.medium("other.zip"), SHEET)
    assert held(rig) == {*gone, *kept}
    assert (await rig.client.delete("/api/media/film")).status_code == 204

    async def freed() -> bool:
        return held(rig) == set(kept) and not await left(rig)

    assert await until(freed)


async def test_what_was_made_of_an_upload_that_its_client_ends_is_freed_too(rig: Rig) -> None:
    """Whoever ends it, and by whatever URL."""
    medium = await rig.medium()
    await make(rig, medium, SHEET)
    answer = await rig.client.delete(f"/files/{medium['upload']}", headers={"Tus-Resumable": "1.0.0"})
    assert answer.status_code == 204

    async def freed() -> bool:
        return not held(rig) and not await left(rig)

    assert await until(freed)


async def test_an_end_in_between_is_made_up_for_at_the_next_start(tmp_path: Path) -> None:
    """The medium was deleted, and the server ended before it freed a byte."""
    settings = Settings(data=tmp_path / "data", previews=False)
    async with running(settings) as rig:
        await make(rig, await rig.medium(), SHEET)
        assert await rig.house.state.library.delete("film")
        assert len(held(rig)) == 1
    async with running(settings) as rig:

        async def freed() -> bool:
            return not held(rig) and not await left(rig)

        assert await until(freed)


async def test_what_cannot_be_freed_holds_up_nothing_and_is_freed_later(tmp_path: Path) -> None:
    """The library is told of those that are free, and of no other."""
    async with running(Settings(data=tmp_path / "data", previews=False)) as rig:
        film, sheet = sorted(await make(rig, await rig.medium(), SHEET, FILM))
        other = await make(rig, await rig.medium("other.zip"), SHEET)
        (path,) = (tmp_path / "data" / "derived").glob(f"*/{film}")
        path.unlink()
        path.mkdir()  # which no file is freed by
        for slug in ("film", "other"):
            assert (await rig.client.delete(f"/api/media/{slug}")).status_code == 204

        async def freed() -> bool:
            return await left(rig) == {film}

        assert await until(freed)
        assert not held(rig) & {sheet, *other}
        await free_leftovers(rig.house, Uploads(rig.house))
        assert await left(rig) == {film}
        path.rmdir()
        await free_leftovers(rig.house, Uploads(rig.house))
        assert not await left(rig)


async def test_a_place_that_is_used_again_is_not_freed(rig: Rig) -> None:
    """A generation that is not shown and was indexed anew keeps its number: what is made of it then, lies where what
    was made before lay. Neither what is there again is freed, nor what may be there at any moment."""
    medium = await rig.medium()
    upload_id, generation = medium["upload"], medium["generation"]
    shown = await rig.medium(data=archive(5))
    (place,) = await make(rig, medium, SHEET)
    library, store, uploads = rig.house.state.library, rig.house.store, Uploads(rig.house)

    async def anew() -> None:
        assert (await rig.client.post(f"/api/uploads/{upload_id}/reprocess")).status_code == 202
        assert (await rig.processing(upload_id))["phase"] == "ready"
        assert (await left(rig), held(rig)) == ({place}, {place})

    await anew()
    await derived_rig.record(library, upload_id, SHEET, "wanted", generation=generation)
    await free_leftovers(rig.house, uploads)
    assert (await left(rig), held(rig)) == ({place}, {place})
    assert await derived_rig.make(library, store, upload_id, SHEET, generation=generation) == place
    await free_leftovers(rig.house, uploads)
    assert (await left(rig), held(rig)) == (set(), {place})
    await anew()
    await derived_rig.record(library, upload_id, SHEET, "failed", "no codec", generation=generation)
    await free_leftovers(rig.house, uploads)
    assert (await left(rig), held(rig)) == (set(), set())
    assert (await rig.get("/api/media/film"))["generation"] == shown["generation"]


async def test_a_place_that_none_can_be_is_not_remembered(rig: Rig) -> None:
    """Nothing was ever put there: the library need not be told of it for ever."""
    medium = await rig.medium()
    row = Derived(upload_id=medium["upload"], kind=SHEET, state="failed", place="../store.toml")
    assert await rig.house.state.library.put_derived(medium["generation"], [row])
    await derived_rig.record(
        rig.house.state.library, medium["upload"], SHEET, "failed", generation=medium["generation"]
    )
    assert await left(rig) == {"../store.toml"}
    await free_leftovers(rig.house, Uploads(rig.house))
    assert not await left(rig)


async def test_nothing_is_freed_by_a_store_that_keeps_none(rig: Rig) -> None:
    """Of another's making: then it stays left over."""
    (place,) = await make(rig, await rig.medium(), SHEET)

    class Plain:
        """A store, as far as this goes."""

    await free_places(rig.house.state.library, Plain(), [place])  # type: ignore[arg-type]
    assert held(rig) == {place}


async def test_what_nobody_knows_of_is_found_at_the_start(tmp_path: Path) -> None:
    """What a killed process had put there and not said so yet, once that is an hour ago."""
    settings = Settings(data=tmp_path / "data", previews=False)
    async with running(settings) as rig:
        (kept,) = await make(rig, await rig.medium(), SHEET)
        files = files_of(rig.house.store)
        for place in (OTHERS, LATER):
            files.put(place, b"not told of")
        ages_ago = time.time() - 2 * SPARED
        for place in (kept, OTHERS):
            (path,) = (tmp_path / "data" / "derived").glob(f"*/{place}")
            os.utime(path, (ages_ago, ages_ago))
    async with running(settings) as rig:

        async def freed() -> bool:
            return held(rig) == {kept, LATER}

        assert await until(freed)
