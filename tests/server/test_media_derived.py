"""What is made of a medium in the background, over HTTP: its bytes, for ever or for now, or why there are none."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from ferryman_protocol import problems
from ferryman_protocol.model import Upload
from ferryman_protocol.problems import Problem, Refused
from ferryman_server.auth import Action, Allow, Caller, Refuse
from ferryman_server.derived_answers import derived_content
from ferryman_server.media.derivatives import FILM, LOOP, MEDIA_TYPES, OF_KIND, POSTER, SHEET, WAVEFORM
from ferryman_server.media_endpoint import FOR_EVER
from ferryman_server.state.media import Kind, Making, Medium
from tests.server import derived_rig
from tests.server.derived_rig import BYTES, MADE_AT, files_of
from tests.server.media_api_rig import refused
from tests.server.media_rig import MediaRig, Watched, film, serving_media


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[MediaRig]:
    """An application whose store can be made to fail."""
    async with serving_media(tmp_path, Watched()) as running:
        yield running


async def make(rig: MediaRig, medium: Medium, kind: str, content: bytes = BYTES, *, at: float = MADE_AT) -> str:
    """What the jobs do with something that is made; its place."""
    library, generation = rig.app.house.state.library, medium.generation
    return await derived_rig.make(library, rig.store, medium.upload_id, kind, content, generation=generation, at=at)


async def record(rig: MediaRig, medium: Medium, kind: str, state: Making, reason: str | None = None) -> None:
    """What the library says of something that is not there."""
    library, generation = rig.app.house.state.library, medium.generation
    await derived_rig.record(library, medium.upload_id, kind, state, reason, generation=generation)


# -- its bytes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MEDIA_TYPES)
async def test_what_was_made_is_served(rig: MediaRig, kind: str) -> None:
    """With its type, a name to save it under, and what keeps it from doing harm; and HEAD tells the same."""
    medium = await rig.medium(film().archive())
    await make(rig, medium, kind)
    answer = await rig.get(f"/media/film/{kind}")
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert answer.headers["content-type"] == MEDIA_TYPES[kind]
    assert answer.headers["content-disposition"] == f'inline; filename="film-{kind}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["last-modified"] == "Wed, 18 Nov 2026 11:06:40 GMT"
    told = await rig.get(f"/media/film/{kind}", "HEAD")
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers == answer.headers


async def test_a_film_can_be_sought_in(rig: MediaRig) -> None:
    """Ranges, as players ask for them; one that is not there is told what there is."""
    await make(rig, await rig.medium(film().archive()), FILM)
    part = await rig.get(f"/media/film/{FILM}", range="bytes=100-299")
    assert (part.status_code, part.content) == (206, BYTES[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(BYTES)}"
    assert (await rig.get(f"/media/film/{FILM}", range="bytes=-5")).content == BYTES[-5:]
    beyond = await rig.get(f"/media/film/{FILM}", range="bytes=999999-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(BYTES)}")


async def test_whoever_has_it_is_not_sent_it_again(rig: MediaRig) -> None:
    """By its ETag or its time. One that was made a second time is another, though it is as large."""
    medium = await rig.medium(film().archive())
    await make(rig, medium, SHEET)
    first = await rig.get(f"/media/film/{SHEET}")
    etag = first.headers["etag"]
    assert etag.startswith('"')
    for fields in ({"if_none_match": etag}, {"if_modified_since": first.headers["last-modified"]}):
        unchanged = await rig.get(f"/media/film/{SHEET}", **fields)
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    await make(rig, medium, SHEET, BYTES[::-1], at=MADE_AT + 0.25)
    again = await rig.get(f"/media/film/{SHEET}", if_none_match=etag)
    assert (again.status_code, again.content) == (200, BYTES[::-1])
    assert again.headers["etag"] != etag
    assert (await rig.get(f"/media/film/{SHEET}", if_match=etag)).status_code == 412


async def test_a_generation_is_kept_for_ever_and_the_one_now_asked_for_again(rig: MediaRig) -> None:
    """Each generation has its own, and a new one has nothing of the old."""
    first = await rig.medium(film(count=2).archive())
    await make(rig, first, SHEET, b"of the first")
    second = await rig.medium(film(count=3).archive())
    assert second.slug == first.slug
    refused(await rig.client.get(f"/media/film/{SHEET}"), 404, "no-such-medium")
    await make(rig, second, SHEET, b"of the second")
    now = await rig.get(f"/media/film/{SHEET}")
    assert (now.content, now.headers["cache-control"]) == (b"of the second", "private, no-cache")
    for generation, content in ((first.generation, b"of the first"), (second.generation, b"of the second")):
        answer = await rig.get(f"/media/film/{SHEET}?g={generation}")
        assert (answer.content, answer.headers["cache-control"]) == (content, FOR_EVER)
    refused(await rig.client.get(f"/media/film/{SHEET}?g=77"), 404, "no-such-medium")
    refused(await rig.client.get(f"/media/film/{SHEET}?g=x"), 400, "bad-request")


async def test_what_is_told_of_a_medium_has_the_urls(rig: MediaRig) -> None:
    """In a listing too: of what is ready, each of its generation; following one brings it."""
    medium = await rig.medium(film().archive())
    await make(rig, medium, SHEET)
    await record(rig, medium, FILM, "wanted")
    await record(rig, medium, LOOP, "failed", "no codec")
    whole = (await rig.client.get("/api/media/film")).json()
    (listed,) = (await rig.client.get("/api/media")).json()["media"]
    assert whole["derived"] == listed["derived"] == {SHEET: f"/media/film/{SHEET}?g={medium.generation}"}
    assert (await rig.get(whole["derived"][SHEET])).content == BYTES


# -- why there is none -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason", "detail"),
    [
        ("wanted", None, "waveform.png of tone is being made"),
        (
            "failed",
            "its sound cannot be decoded",
            "waveform.png of tone could not be made: its sound cannot be decoded",
        ),
    ],
)
async def test_what_is_not_there_is_told_why(rig: MediaRig, state: Making, reason: str | None, detail: str) -> None:
    """And nobody keeps that answer, whatever generation was asked for."""
    medium = await rig.medium(b"RIFF" + bytes(400), "tone.wav", filetype="audio/wav")
    await record(rig, medium, WAVEFORM, state, reason)
    for query in ("", f"?g={medium.generation}"):
        answer = await rig.client.get(f"/media/tone/{WAVEFORM}{query}")
        assert refused(answer, 404, "no-such-medium")["detail"] == detail
        assert answer.headers["cache-control"] == "no-store"


async def test_what_is_made_of_others_is_told_to_be(rig: MediaRig) -> None:
    """A name that there is, of media of another kind; and one that there is not."""
    await rig.medium(film().archive())
    for kind in (POSTER, WAVEFORM):
        detail = refused(await rig.client.get(f"/media/film/{kind}"), 404, "no-such-medium")["detail"]
        assert detail.startswith(f"{kind} of film is not made of a medium of this kind (frames); what is: ")
        assert all(name in detail for name in (SHEET, FILM, LOOP))
    for name in ("poster.png", "frames", "preview.mp4.exe", "%2E%2E"):
        refused(await rig.client.get(f"/media/film/{name}"), 404, "not-found")
    refused(await rig.client.get(f"/media/none/{SHEET}"), 404, "no-such-medium")


@pytest.mark.parametrize("medium_kind", get_args(Kind))
@pytest.mark.parametrize("kind", MEDIA_TYPES)
async def test_what_nobody_asked_for_is_said_so(rig: MediaRig, medium_kind: Kind, kind: str) -> None:
    """Of any kind of medium: published when it was not made yet, or no work for it at all."""
    medium = replace(await rig.medium(film().archive()), kind=medium_kind)
    with pytest.raises(Refused) as refusal:
        derived_content(rig.store, medium, [], kind, FOR_EVER)
    detail = refusal.value.problem.detail
    assert ("when this generation was published" in detail) == (kind in OF_KIND[medium_kind])
    assert ("of this kind" in detail) == (kind not in OF_KIND[medium_kind])


async def test_what_was_made_of_other_frames_is_not_served(rig: MediaRig) -> None:
    """The row was read, and the archive was indexed anew meanwhile: no generation is ever given another's bytes."""
    medium = await rig.medium(film().archive())
    await make(rig, medium, SHEET)
    (row,) = [row for row in await rig.app.house.state.library.derived(medium.upload_id) if row.kind == SHEET]
    later = replace(medium, generation=medium.generation + 1)
    with pytest.raises(Refused, match="is being made"):
        derived_content(rig.store, later, [row], SHEET, FOR_EVER)


async def test_bytes_that_the_store_has_not_are_an_error_of_ours(rig: MediaRig) -> None:
    """503 before a byte was sent: somebody has freed it by hand. A 304 needs no store."""
    medium = await rig.medium(film().archive())
    place = await make(rig, medium, SHEET)
    etag = (await rig.get(f"/media/film/{SHEET}")).headers["etag"]
    files_of(rig.store).free(place)
    answer = await rig.client.get(f"/media/film/{SHEET}")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:ferryman:problem:storage-unavailable")
    assert (await rig.get(f"/media/film/{SHEET}", if_none_match=etag)).status_code == 304


async def test_a_guard_decides(tmp_path: Path) -> None:
    """It is asked whether the caller may download the upload that the medium shows."""
    asked: list[tuple[Action, str | None]] = []

    async def guard(caller: Caller, action: Action, upload: Upload | None) -> Allow | Refuse:
        asked.append((action, None if upload is None else upload.id))
        if action is Action.DOWNLOAD:
            return Refuse(problem=Problem(kind=problems.FORBIDDEN, detail="not for you"))
        return Allow()

    async with serving_media(tmp_path, Watched(), guard) as rig:
        medium = await rig.medium(film().archive())
        await make(rig, medium, SHEET)
        asked.clear()
        refused(await rig.client.get(f"/media/film/{SHEET}"), 403, "forbidden")
        assert asked == [(Action.DOWNLOAD, medium.upload_id)]
