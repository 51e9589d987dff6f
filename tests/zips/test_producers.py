"""The producers' archives: they all hold the same files, and each has the shape that it is there for."""

import hashlib
import os
import struct
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from posixpath import normpath
from typing import Final

import pytest

from ferryman_server.media.frame_set import FrameSet
from ferryman_server.media.looking import look_at
from ferryman_server.media.zip_index import Limits
from tests.zips.film import FRAMES, TREE, frames_folder
from tests.zips.kept import cache
from tests.zips.producers import DEFLATED64, METHODS, PRODUCERS, Sizes, archive, run

HEADER: Final = struct.Struct("<4s5H3L2H")  # APPNOTE 4.3.7, up to the name
DESCRIPTOR_BIT: Final = 8  # APPNOTE 4.4.4
DESCRIPTOR: Final = {0: None, 16: False, 24: True}  # by the bytes between two entries: whether its sizes have 64 bits
SATURATED: Final = 0xFFFFFFFF  # the size stands in the zip64 extra field
ZIP64: Final = 1
MADE_UP: Final = "META-INF/"  # what jar adds
PIECE: Final = 100_003  # bytes, of an archive that is walked: frames lie anywhere in it
OF_TREE: Final = (
    "zip-0",
    "zip-6",
    "7z-5",
    "bsdtar",
    "python-store",
    "python-deflate",
    "fflate-deflate-6",
    "client-zip-stream",
)


def sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in the folder, by its name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def sums_inside(made: Path, method: int, scratch: Path) -> dict[str, str]:
    """The same of every file in an archive."""
    if method == DEFLATED64:  # which zipfile cannot read
        run("7z", "x", "-bso0", "-bsp0", f"-o{scratch}", str(made), folder=scratch)
        return sums(scratch)
    with zipfile.ZipFile(made) as opened:
        files = [entry for entry in opened.infolist() if not entry.is_dir() and not entry.filename.startswith(MADE_UP)]
        return {normpath(entry.filename): hashlib.sha256(opened.read(entry)).hexdigest() for entry in files}


def extras(header: bytes) -> dict[int, bytes]:
    """The extra fields of a local header with all that belongs to it, by their numbers."""
    left, found = header[HEADER.size + HEADER.unpack_from(header)[-2] :], {}
    while left:
        number, length = struct.unpack_from("<2H", left)
        found[number], left = left[4 : 4 + length], left[4 + length :]
    return found


def sizes_in_header(header: bytes) -> tuple[int, int]:
    """Packed and unpacked size, in bytes, as a local header tells them."""
    packed, size = HEADER.unpack_from(header)[7:9]
    if packed == size == SATURATED:
        size, packed = struct.unpack("<2Q", extras(header)[ZIP64])
    return packed, size


def place_of_sizes(entry: zipfile.ZipInfo, header: bytes, behind: int) -> Sizes:
    """Where the sizes stand, from the entry in the directory, its local header, and the number of bytes behind it."""
    crc, wide = HEADER.unpack_from(header)[6], DESCRIPTOR[behind]
    packed, size = sizes_in_header(header)
    assert crc == (entry.CRC if wide is None else 0)
    assert bool(entry.flag_bits & DESCRIPTOR_BIT) == (wide is not None)
    known = (packed == entry.compress_size, size == entry.file_size)
    assert all(right or told == 0 for right, told in zip(known, (packed, size), strict=True))
    return {
        (True, True, None): Sizes.HEADER,
        (True, True, False): Sizes.BOTH,
        (False, True, False): Sizes.HALF,
        (False, True, True): Sizes.HALF_WIDE,
        (False, False, False): Sizes.BEHIND,
        (False, False, True): Sizes.BEHIND_WIDE,
    }[(*known, wide)]


def headers(made: Path) -> list[tuple[zipfile.ZipInfo, bytes, int]]:
    """Each entry as the directory has it, its local header, and how many bytes follow its own; in their order."""
    content = made.read_bytes()
    with zipfile.ZipFile(made) as opened:
        entries = sorted(opened.infolist(), key=lambda entry: entry.header_offset)
        starts = [entry.header_offset for entry in entries] + [opened.start_dir]
    found = []
    for entry, (start, following) in zip(entries, pairwise(starts), strict=True):
        begins = start + HEADER.size + sum(HEADER.unpack_from(content, start)[-2:])
        found.append((entry, content[start:begins], following - begins - entry.compress_size))
    return found


@pytest.mark.parametrize("name", PRODUCERS)
def test_every_archive_holds_the_same_files(name: str, tmp_path: Path) -> None:
    """All frames and the metadata come out of it byte for byte, and nothing else does."""
    assert sums_inside(archive(name), PRODUCERS[name].method, tmp_path) == sums(frames_folder())


@pytest.mark.parametrize("name", PRODUCERS)
def test_an_archive_has_the_shape_that_its_producer_claims(name: str) -> None:
    """Method and place of the sizes, of every frame, are what the table says."""
    frames = [each for each in headers(archive(name)) if "frames/frame_" in each[0].filename]
    shapes = {(entry.compress_type, place_of_sizes(entry, header, behind)) for entry, header, behind in frames}
    assert len(frames) == FRAMES
    assert shapes == {(PRODUCERS[name].method, PRODUCERS[name].sizes)}


@pytest.mark.parametrize("name", PRODUCERS)
def test_real_headers_agree_with_their_directory(name: str) -> None:
    """Flags, method and name of every entry are the same in both, and the entries follow one another without a gap."""
    entries = headers(archive(name))
    assert entries[0][0].header_offset == 0
    for entry, header, behind in entries:
        signature, _, flags, method, *_, name_length, _ = HEADER.unpack_from(header)
        assert signature == b"PK\3\4"
        assert (flags, method) == (entry.flag_bits, entry.compress_type)
        assert header[HEADER.size : HEADER.size + name_length].decode() == entry.filename
        assert behind in ((16, 24) if flags & DESCRIPTOR_BIT else (0,))


def test_the_shapes_are_told_in_words_and_are_many() -> None:
    """Each method comes with its sizes in the header, and each place of the sizes comes; all are told."""
    assert {producer.method for producer in PRODUCERS.values() if not producer.descriptor} == set(METHODS)
    assert {producer.sizes for producer in PRODUCERS.values()} == set(Sizes)
    assert PRODUCERS["client-zip"].shape == "stored, sizes in a descriptor"
    assert PRODUCERS["7z-deflate64"].shape == "Deflate64, sizes in the header, metadata.json last"


@pytest.mark.parametrize("name", PRODUCERS)
def test_what_else_is_particular_is_told(name: str) -> None:
    """The table says which archives have zip64 anywhere, zeros behind the end, and other names than the files have."""
    made, told = archive(name), PRODUCERS[name].besides
    entries, (before, _, end) = headers(made), made.read_bytes().rpartition(b"PK\5\6")
    wide = before[-20:].startswith(b"PK\6\7") or any(ZIP64 in extras(header) for _, header, _ in entries)
    assert wide == ("zip64" in told)
    assert end[18:].startswith(b"\0") == ("zeros behind the end" in told)
    names = [entry.filename for entry, _, _ in entries]
    assert names[0].startswith("./") == ("./" in told)
    assert names[0].startswith(MADE_UP) == (MADE_UP in told)
    if "metadata.json last" in told:
        assert names[-1] == "metadata.json"


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("name", ["zip-6", "client-zip"])
def test_a_producer_packs_pictures_too(name: str, kind: str, tmp_path: Path) -> None:
    """The archive of another kind holds that kind's files."""
    assert sums_inside(archive(name, kind), PRODUCERS[name].method, tmp_path) == sums(frames_folder(kind))


@pytest.mark.parametrize("name", OF_TREE)
def test_frames_of_a_camera_come_out_of_every_archive_as_they_went_in(name: str) -> None:
    """Whoever packed them and in which order, the server finds the same frames, byte for byte those of the film."""
    content = memoryview(archive(name, "rgb565-tree").read_bytes())
    looked = look_at((content[at : at + PIECE] for at in range(0, len(content), PIECE)), Limits())
    found = looked.frames
    assert isinstance(found, FrameSet), looked.refused or found
    assert (found.format, found.width, found.height) == ("rgb565le", TREE.width, TREE.height)
    names = [looked.entries[number].name for number in found.frames]
    film = sums(frames_folder("rgb565-tree"))
    assert names == sorted(film.keys() - {"metadata.json"})
    assert [looked.digests[number] for number in found.frames] == [film[each] for each in names]


def test_a_new_version_makes_an_archive_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same recipe finds the archive that is there, one of another version makes one of its own."""
    kept_frames = frames_folder().parent
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache().mkdir()
    (cache() / "frames").symlink_to(kept_frames)
    first = archive("python-store")
    assert first.is_relative_to(tmp_path)
    os.truncate(first, 0)  # a mark: whoever makes it anew writes more
    assert archive("python-store").stat().st_size == 0
    monkeypatch.setitem(PRODUCERS, "python-store", replace(PRODUCERS["python-store"], version=lambda: "a new one"))
    assert archive("python-store").stat().st_size > 0
    assert first.stat().st_size == 0


def test_what_is_missing_or_fails_is_told() -> None:
    """The error names a program that is not there and what installs it, or has the words of one that failed."""
    with pytest.raises(FileNotFoundError, match="no-such-program is missing: make test installs it"):
        run("no-such-program", folder=Path())
    with pytest.raises(RuntimeError, match=r"(?s)ended with 3:\nnot today"):
        run("node", "-e", "console.error('not today'); process.exit(3)", folder=Path())
