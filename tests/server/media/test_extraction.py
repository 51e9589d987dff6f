"""Extracted frames are those that were uploaded, under names and with a metadata.json that any reader understands."""

import asyncio
import io
import os
import random
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.entries import DEFLATED, METHODS, STORED
from ferryman_server.media.extraction import (
    Extraction,
    ExtractionFailed,
    NoRoom,
    entries_of,
    extracted,
    target_for,
)
from ferryman_server.media.frame_set import FrameSet
from ferryman_server.media.looking import look_at
from ferryman_server.media.pictures import Target
from ferryman_server.state.media import Medium
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.memory import MemoryStore
from tests.server.media.extraction_rig import SIZE, contents, described, extract, extraction, files, in_store, medium
from tests.server.media.picture_rig import as_rgb888, seen
from tests.server.media.stored_entries import ID, LIMITS, put
from tests.server.media_rig import HEIGHT, WIDTH, MediaRig, film, serving_media
from tests.server.media_rig import METHODS as PACKED
from tests.support.small_disk import can_mount, lasting_small_disk
from tests.zips.film import frames_folder
from tests.zips.producers import archive

RAW = ("rgb565le", "rgb565be", "rgb888")
ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


class Waiting(MemoryStore):
    """Another store's content, once it is to be told."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self.asked, self.answers = threading.Event(), threading.Event()

    def read(self, upload_id: str, start: int, stop: int, *, published: bool = True) -> Iterator[memoryview]:
        """As the other one does it."""
        self.asked.set()
        self.answers.wait()
        yield from self._store.read(upload_id, start, stop, published=published)


async def out_of(rig: MediaRig, film: Medium, folder: Path, to: Target | None = None) -> Extraction:
    """Extract a film of the library, synced."""
    entries = await entries_of(rig.app.house.state.library, film)
    work = Extraction(store=rig.store, store_id=rig.store.store_id, medium=film, entries=entries, folder=folder, to=to)
    with ThreadPoolExecutor() as pool:
        await extracted(work, pool)
    return work


def looked_at(folder: Path) -> FrameSet:
    """What the server would make of this folder, packed again."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for path in sorted(folder.rglob("*")):
            made.write(path, path.relative_to(folder))
    found = look_at([packed.getvalue()], LIMITS).frames
    assert isinstance(found, FrameSet), found
    return found


@pytest.mark.parametrize("method", PACKED)
@pytest.mark.parametrize("format", [*RAW, *ENDINGS])
async def test_frames_are_what_was_uploaded(tmp_path: Path, format: str, method: str) -> None:
    """In every format and packing; the folder is an archive of frames again, of the same frames."""
    made, folder = film(format, 7), tmp_path / "film"
    async with serving_media(tmp_path / "data") as rig:
        told = await rig.medium(made.archive(PACKED[method]))
        await out_of(rig, told, folder)
    ending = ENDINGS.get(format, ".rgb")
    assert files(folder) == [(f"{n:05}{ending}", content) for n, content in enumerate(made.contents)]
    found = looked_at(folder)
    assert (found.format, found.width, found.height, found.fps) == (format, WIDTH, HEIGHT, 12)
    assert len(found.frames) == 7
    assert sorted(os.listdir(tmp_path)) == ["data", "film"]


@pytest.mark.parametrize(
    "producer", ["zip-6", "7z-deflate64", "bsdtar-store-piped", "python-zip64-piped", "jszip-stream"]
)
async def test_archives_of_the_programs_that_people_use(tmp_path: Path, producer: str) -> None:
    """Real frames of a real film come out as they were before they were packed."""
    async with serving_media(tmp_path / "data") as rig:
        told = await rig.medium(archive(producer).read_bytes())
        await out_of(rig, told, tmp_path / "film")
    before = [path.read_bytes() for path in sorted(frames_folder().glob("frames/*"))]
    assert [content for _, content in files(tmp_path / "film")] == before


async def test_the_order_is_that_of_the_frames(tmp_path: Path) -> None:
    """Which the archive may say; names in it do not matter any more."""
    made = film(count=5)
    named = [made.named(n) for n in (3, 0, 4, 1)]
    async with serving_media(tmp_path / "data") as rig:
        told = await rig.medium(replace(made, fields={"frames": named}).archive())
        await out_of(rig, told, tmp_path / "film")
    assert [content for _, content in files(tmp_path / "film")] == [made.contents[n] for n in (3, 0, 4, 1)]


@pytest.mark.parametrize("to", ["png", "jpeg"])
@pytest.mark.parametrize("format", ["rgb565be", "webp", "png", "jpeg"])
async def test_frames_become_other_pictures(tmp_path: Path, format: str, to: Target) -> None:
    """Every frame is one; of a lossless one the pixels are those of the frame, as FFmpeg reads both."""
    made = film(format)
    async with serving_media(tmp_path / "data") as rig:
        told = await rig.medium(made.archive())
        await out_of(rig, told, tmp_path / "film", target_for(told, "jpg" if to == "jpeg" else to))
    found = files(tmp_path / "film")
    assert [name for name, _ in found] == [f"{n:05}{ENDINGS[to]}" for n in range(3)]
    assert all(seen(content)[:2] == (WIDTH, HEIGHT) for _, content in found)
    if format == to:
        assert [content for _, content in found] == list(made.contents)
    elif format == "rgb565be" and to == "png":
        pixels = [as_rgb888(content, WIDTH, HEIGHT, format) for content in made.contents]
        assert [seen(content)[2] for _, content in found] == pixels
    assert looked_at(tmp_path / "film").format == to


@pytest.mark.parametrize(("count", "name"), [(1, "00000.rgb"), (100_000, "99999.rgb"), (100_001, "100000.rgb")])
def test_names_have_as_many_digits_as_are_needed(tmp_path: Path, count: int, name: str) -> None:
    """At least five; all of one film have the same, so that they sort as they are shown."""
    work = extraction(tmp_path, 1)
    work = replace(work, entries=list(work.entries) * count)
    assert work.name(count - 1) == name
    assert len(work.name(0)) == len(name)


@given(
    methods=st.lists(st.sampled_from(list(METHODS)), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    before=st.booleans(),
)
def test_any_frames_in_any_order(methods: list[int], order: random.Random, before: bool) -> None:
    """Whatever lies where in the archive, and whatever was in the folder before."""
    frames = [bytes([n]) * SIZE for n in range(len(methods))]
    store, entries = in_store(frames, order.choice(methods))
    order.shuffle(entries)
    with TemporaryDirectory() as place:
        work = replace(extraction(Path(place) / "film"), store=store, entries=entries)
        if before:
            extract(extraction(Path(place) / "film", 9))
        assert list(work.steps()) == list(range(1, len(frames) + 1))
        assert [content for _, content in files(work.folder)] == [frames[entry.number] for entry in entries]
        assert os.listdir(place) == ["film"]


def test_one_that_is_not_gone_through_to_the_end_changes_nothing(tmp_path: Path) -> None:
    """Wherever it is left."""
    extract(extraction(tmp_path / "film", 2, 1))
    for stop in range(3):
        steps = extraction(tmp_path / "film", 3, 2).steps()
        for _ in range(stop):
            next(steps)
        steps.close()
        assert [content for _, content in files(tmp_path / "film")] == contents(2, 1)
        assert os.listdir(tmp_path) == ["film"]


async def test_one_who_is_cancelled_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """And has waited for the thread."""
    extract(extraction(tmp_path / "film", 2, 1))
    work = extraction(tmp_path / "film", 3, 2)
    store = Waiting(work.store)
    with ThreadPoolExecutor() as pool:
        task = asyncio.create_task(extracted(replace(work, store=store), pool))
        await asyncio.to_thread(store.asked.wait)
        task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not task.done()
        store.answers.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert os.listdir(tmp_path) == ["film"]
    assert [content for _, content in files(tmp_path / "film")] == contents(2, 1)


def spoilt(work: Extraction, at: int) -> Extraction:
    """The same, of an archive of which a byte has changed."""
    data = bytearray(b"".join(bytes(piece) for piece in work.store.read(ID, 0, work.entries[-1].data + SIZE)))
    data[at] ^= 1
    put(work.store, bytes(data))  # type: ignore[arg-type]  # it is one in memory
    return work


def test_damaged_frames_are_told_and_the_old_ones_stay(tmp_path: Path) -> None:
    """Nothing is shown that was not uploaded."""
    extract(extraction(tmp_path / "film", 2, 1))
    work = extraction(tmp_path / "film", 3, 2)
    with pytest.raises(ExtractionFailed, match="frame 1 is not what was uploaded"):
        extract(spoilt(work, work.entries[1].data))
    work.store.discard(ID, published=True)
    with pytest.raises(StoreError):
        extract(work)
    assert [content for _, content in files(tmp_path / "film")] == contents(2, 1)
    assert os.listdir(tmp_path) == ["film"]


def test_a_picture_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the frame that is at fault."""
    store, entries = in_store([b"no picture"] * 2, DEFLATED)
    work = replace(extraction(tmp_path / "film", 2, to="jpeg"), store=store, entries=entries)
    work = replace(work, medium=medium(2, format="png"))
    with pytest.raises(ExtractionFailed, match="frame 0 cannot be converted: it is no PNG picture"):
        extract(work)
    assert os.listdir(tmp_path) == []


def test_raw_frames_can_be_demanded() -> None:
    """A player that reads nothing else is not given pictures."""
    assert target_for(medium(1), "raw") is target_for(medium(1), None) is None
    assert target_for(medium(1, format="webp"), None) is None
    with pytest.raises(ExtractionFailed, match="are webp pictures, not raw"):
        target_for(medium(1, format="webp"), "raw")


@pytest.mark.parametrize("_", ["small disk"] if can_mount() else [])
def test_a_full_disk(tmp_path: Path, _: str) -> None:
    """Where it can be known before, nothing is begun; the old frames stay either way, and both say what to do."""
    with lasting_small_disk(tmp_path / "disk", 3 << 20) as (_prefix, disk):
        extract(large(disk / "film", 1, 400_000))
        with pytest.raises(NoRoom, match=r"film needs 3\.\d MB until the old one is gone, and 2\.\d MB are free"):
            extract(large(disk / "film", 2, 2_000_000))
        noise = large(disk / "film", 2, 1_000_000, to="png")
        with pytest.raises(ExtractionFailed, match="is full: make room"):
            extract(noise)
        assert described(disk / "film")["generation"] == 1
        assert os.listdir(disk) == ["film"]


def large(folder: Path, generation: int, size: int, to: Target | None = None) -> Extraction:
    """A film of two frames of so many bytes together, or six as large, that cannot be made smaller."""
    width = size // 2 // 3 // 100
    frames = [random.Random(n).randbytes(width * 300) for n in range(2 if to is None else 6)]
    store, entries = in_store(frames)
    told: Any = medium(len(frames), generation=generation, width=width, height=100, format="rgb888")
    return Extraction(
        store=store, store_id=store.store_id, medium=told, entries=entries, folder=folder, to=to, durable=False
    )


async def test_a_film_that_is_indexed_anew_is_not_extracted(tmp_path: Path) -> None:
    """Its frames are not known then; and of what holds none, there are none."""
    async with serving_media(tmp_path / "data") as rig:
        told = await rig.medium(film().archive())
        library = rig.app.house.state.library
        with pytest.raises(ExtractionFailed, match="is being indexed anew"):
            await entries_of(library, replace(told, generation=told.generation + 1))
        image = await rig.medium(b"no picture at all", "picture.png")
        with pytest.raises(ExtractionFailed, match="is of kind image: it holds no frames"):
            await entries_of(library, image)
        await rig.app.house.state.archives.rewind(told.upload_id, 0.0)
        with pytest.raises(ExtractionFailed, match="is being indexed anew"):
            await entries_of(library, told)


async def test_thousands_of_frames_are_asked_for_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order."""
    monkeypatch.setattr("ferryman_server.media.extraction.AT_ONCE", 4)
    made = film(count=9)
    async with serving_media(tmp_path / "data") as rig:
        told = await rig.medium(made.archive(STORED))
        await out_of(rig, told, tmp_path / "film")
    assert [content for _, content in files(tmp_path / "film")] == list(made.contents)
