"""From an upload to a medium: indexed while it comes in, published at its end, or not, and why."""

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferryman_protocol.ids import is_id
from ferryman_protocol.model import Concat
from ferryman_server.state.media import Archive
from tests.support.core import Core, Disk, Feed, store_of

WIDTH, HEIGHT = 4, 3
SIZE = WIDTH * HEIGHT * 2  # bytes of a frame
SAID = {"width": WIDTH, "height": HEIGHT, "format": "rgb565le", "fps": 10}


def packed(files: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def frames(count: int, said: dict[str, Any] | None = None, *, last: bool = False, method: int = 0) -> bytes:
    """An archive of raw frames, each of one value; metadata.json first, or last."""
    files = [(f"frames/{n}.rgb", bytes([n % 256]) * SIZE) for n in range(count)]
    metadata = ("metadata.json", json.dumps(SAID if said is None else said).encode())
    return packed([*files, metadata] if last else [metadata, *files], method)


@pytest.fixture(params=["memory", "local"])
async def core(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Core]:
    """One process."""
    process = Core(Disk(tmp_path, store_of(request.param, tmp_path)))
    await process.start()
    yield process
    await process.stop()


def named(name: str, **more: str) -> dict[str, Any]:
    """A creation's metadata."""
    values = {"filename": name, **more}
    pairs = [f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items()]
    return {"metadata": ",".join(pairs), "filename": name}


async def uploaded(core: Core, data: bytes, name: str = "film.zip", **more: str) -> str:
    """An upload of these bytes in one request; its id."""
    upload_id = await core.created(len(data), **named(name, **more))
    await core.append(upload_id, 0, Feed(data))
    return upload_id


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until it is true; what it says then."""
    async with asyncio.timeout(20):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(0.005)  # what is waited for is in the database: nobody rings


async def settled(core: Core, upload_id: str) -> Archive:
    """The index of an upload once it is there."""

    async def look() -> Archive | None:
        archive = await core.house.state.archives.get(upload_id)
        return archive if archive is not None and archive.phase != "indexing" else None

    found: Archive = await until(look)
    return found


async def contents(core: Core, slug: str) -> list[bytes]:
    """Every frame of a medium, as it lies in the store."""
    rows = await core.house.state.library.frames(slug, 0, 100_000)
    found = []
    for row in rows:
        entry = row.indexed.entry
        pieces = core.house.store.read(row.upload_id, entry.data, entry.data + entry.packed)
        found.append(b"".join(bytes(piece) for piece in pieces))
    return found


def told(core: Core, upload_id: str) -> list[str]:
    """The names of an upload's events, steps left out."""
    return [
        event.name for event in core.events if event.upload_id == upload_id and event.name not in ("progress", "frame")
    ]


@pytest.mark.parametrize("last", [False, True])
async def test_an_archive_of_frames_becomes_a_medium(core: Core, last: bool) -> None:
    """Its frames are in their natural order, wherever metadata.json lies."""
    upload_id = await uploaded(core, frames(12, last=last))
    assert (await settled(core, upload_id)).phase == "ready"
    medium = await core.house.state.library.by_upload(upload_id)
    assert medium is not None
    assert (medium.slug, medium.kind, medium.frames, medium.width, medium.height) == ("film", "frames", 12, 4, 3)
    assert medium.duration == pytest.approx(1.2)
    assert await contents(core, "film") == [bytes([n]) * SIZE for n in range(12)]
    assert told(core, upload_id) == ["created", "complete", "published"]


async def test_frames_are_there_before_the_upload_ends(core: Core) -> None:
    """What is committed is indexed, and told, while more is to come."""
    data = frames(40)
    upload_id = await core.created(len(data), **named("film.zip"))
    await core.append(upload_id, 0, Feed(data[: len(data) // 2], whole=True))

    async def counts() -> list[int]:
        return [int(str(event.data["count"])) for event in core.events if event.name == "frame"]

    assert 10 <= max(await until(counts)) < 40
    indexing = core.house.indexer.get(upload_id)
    assert indexing is not None
    assert indexing.following is not None
    assert len(indexing.following.entries) == indexing.following.frames + 1
    assert await core.house.state.library.by_upload(upload_id) is None
    await core.append(upload_id, len(data) // 2, Feed(data[len(data) // 2 :]))
    assert (await settled(core, upload_id)).phase == "ready"


@pytest.mark.parametrize("size", [5, 200_000])
async def test_an_upload_that_comes_whole_is_indexed(core: Core, size: int) -> None:
    """A small one, and one that is taken together with others."""
    side = {**SAID, "width": size, "height": 1}
    files = [("metadata.json", json.dumps(side | {"width": 5} if size == 5 else side | {"width": 16000}).encode())]
    width = 5 if size == 5 else 16000
    data = packed([*files, ("a1.rgb", bytes(width * 2)), ("a2.rgb", bytes(width * 2))])
    reply = await core.create(len(data), Feed(data), **named("film.zip"))
    upload_id = dict(reply.headers)["Location"].rpartition("/")[2]
    assert is_id(upload_id)
    assert (await settled(core, upload_id)).phase == "ready"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packed([("a.txt", b"text"), ("b.txt", b"text")]), "metadata.json"),
        (frames(3)[:-1] + b"!", "comment|end record|cut off|follows"),
        (packed([("photo1.png", b"no picture"), ("photo2.png", b"nor this")]), "picture"),
    ],
    ids=["texts", "damaged", "no-pictures"],
)
async def test_others_stay_ordinary_files(core: Core, data: bytes, reason: str) -> None:
    """An archive without frames, or a damaged one, is a file like any other, and says what it lacks."""
    upload_id = await uploaded(core, data)
    archive = await settled(core, upload_id)
    assert archive.phase in ("not-frames", "failed")
    assert any(word in (archive.reason or "") for word in reason.split("|"))
    assert await core.house.state.library.by_upload(upload_id) is None
    record = await core.house.state.get(upload_id)
    assert record is not None
    assert record.upload.phase == "complete"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frames(3, {**SAID, "fps": "fast"}), ["fps"]),
        (frames(3, {**SAID, "height": 7}), ["frames/0.rgb", "24", "56"]),
        (frames(3, {**SAID, "frames": 4}), ["4", "3"]),
        (frames(3)[:-40], ["cut off"]),
    ],
    ids=["field", "size", "count", "cut"],
)
async def test_a_bad_archive_of_frames_leaves_a_reason(core: Core, data: bytes, words: list[str]) -> None:
    """One that breaks a rule leaves nothing behind but its own bytes, and words for its uploader."""
    upload_id = await uploaded(core, data)
    archive = await settled(core, upload_id)
    assert archive.phase == "failed"
    assert [word for word in words if word not in (archive.reason or "")] == []
    assert await core.house.state.archives.entries(upload_id) == []
    assert told(core, upload_id) == ["created", "complete", "retracted"]


async def test_a_bad_archive_is_dropped_where_that_is_wanted(tmp_path: Path) -> None:
    """It is left over when it is complete; an archive that holds no frames stays."""
    core = Core(Disk(tmp_path, store_of("local", tmp_path)), drop_failed=True)
    await core.start()
    bad, other = frames(3, {**SAID, "height": 7}), packed([("a.txt", b"text")])
    upload_id = await uploaded(core, bad)
    await settled(core, await uploaded(core, other, "other.zip"))
    assert (await settled(core, upload_id)).phase == "failed"
    assert (await core.house.state.library.leftovers(9)).uploads == (upload_id,)
    assert told(core, upload_id) == ["created", "complete", "retracted"]
    await core.stop()


async def test_a_hostile_entry_ends_the_index_at_once(core: Core) -> None:
    """Nobody waits for the rest of an archive that is refused already; its upload goes on."""
    data = packed([("metadata.json", json.dumps(SAID).encode()), ("../evil.rgb", bytes(SIZE)), ("b.rgb", bytes(2000))])
    upload_id = await core.created(len(data), **named("film.zip"))
    await core.append(upload_id, 0, Feed(data[:-500]))
    assert "evil" in ((await settled(core, upload_id)).reason or "")
    await core.append(upload_id, len(data) - 500, Feed(data[-500:]))
    record = await core.house.state.get(upload_id)
    assert record is not None
    assert record.upload.phase == "complete"


async def test_process_none_leaves_it_alone(core: Core) -> None:
    """An upload that asks for it is a file, whatever it looks like."""
    upload_id = await uploaded(core, frames(3), process="none")
    await uploaded(core, frames(3), "other.zip")
    assert await core.house.state.archives.get(upload_id) is None


async def test_the_same_name_is_a_new_generation(core: Core) -> None:
    """Uploaded again, a medium shows the new frames at once, under its slug."""
    first = await uploaded(core, frames(2))
    await settled(core, first)
    second = await uploaded(core, frames(3))
    await settled(core, second)
    medium = await core.house.state.library.get("film")
    assert medium is not None
    assert (medium.upload_id, medium.frames) == (second, 3)


async def test_a_group_is_published_together(core: Core) -> None:
    """An original and its frames are in the library when both are there."""
    first = await uploaded(core, frames(2), "frames.zip", group="g", group_size="2")
    await asyncio.sleep(0.05)
    assert await core.house.state.library.by_upload(first) is None
    second = await uploaded(core, b"RIFF....WAVE", "sound.wav", group="g", group_size="2")
    assert await until(lambda: core.house.state.library.by_upload(second))
    assert await until(lambda: core.house.state.library.by_upload(first))


async def test_what_cannot_be_published_says_why(core: Core) -> None:
    """Members of a group that disagree about its size: the later one has failed, and says so."""
    first = await uploaded(core, frames(2), "frames.zip", group="g", group_size="2")
    await until(lambda: core.house.state.library.pending(first))
    second = await uploaded(core, frames(2), "other.zip", group="g", group_size="3")
    archive = await settled(core, second)
    assert archive.phase == "failed"
    assert "published" in (archive.reason or "")


async def test_a_final_upload_is_indexed_and_its_parts_are_not(core: Core) -> None:
    """Partial uploads are no archives, though the first begins like one."""
    data = frames(20)
    parts = []
    for piece in (data[:600], data[600:]):
        part = await core.created(len(piece), concat=Concat.PARTIAL)
        await core.append(part, 0, Feed(piece))
        parts.append(part)
    final = await core.created(concat=Concat.FINAL, parts=tuple(parts), **named("film.zip"))
    assert (await settled(core, final)).phase == "ready"
    assert await core.house.state.archives.get(parts[0]) is None


async def test_a_terminated_upload_leaves_nothing(core: Core) -> None:
    """Deleted in the middle, an upload's index goes with it."""
    data = frames(40)
    upload_id = await core.created(len(data), **named("film.zip"))
    await core.append(upload_id, 0, Feed(data[:1000]))
    await until(lambda: core.house.state.archives.get(upload_id))
    await core.terminate(upload_id)
    assert await core.house.state.archives.get(upload_id) is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cuts_and_any_deaths_end_in_the_same_medium(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """However an upload is cut, and wherever its server is killed, the same frames are published in the end."""
    asyncio.run(_lives(tmp_path_factory.mktemp("lives"), data))


async def _lives(folder: Path, data: st.DataObject) -> None:
    method = data.draw(st.sampled_from([0, 8]))
    whole = frames(data.draw(st.integers(1, 30)), last=data.draw(st.booleans()), method=method)
    disk = Disk(folder, store_of("local", folder))
    core = Core(disk)
    await core.start()
    upload_id = await core.created(len(whole), **named("film.zip"))
    offset = 0
    for stop in [*sorted(data.draw(st.lists(st.integers(1, len(whole)), max_size=6))), len(whole)]:
        if stop > offset:
            await core.append(upload_id, offset, Feed(whole[offset:stop]))
            offset = stop
        for _ in range(data.draw(st.integers(0, 3))):
            await asyncio.sleep(0)
        if data.draw(st.booleans()):
            await core.die()
            core = Core(disk)
            await core.start()
    assert (await settled(core, upload_id)).phase == "ready"
    medium = await core.house.state.library.by_upload(upload_id)
    assert medium is not None
    with zipfile.ZipFile(io.BytesIO(whole)) as plain:
        count = sum(name.endswith(".rgb") for name in plain.namelist())
    assert medium.frames == count
    if method == zipfile.ZIP_STORED:
        assert await contents(core, medium.slug) == [bytes([n]) * SIZE for n in range(count)]
    await core.stop()
