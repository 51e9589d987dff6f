"""Opening with FFmpeg: nothing but the file itself is read, little memory is taken, nothing is printed."""

import resource
import struct
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import av
import pytest

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.facts import facts_of
from ferryman_server.making.poster import poster
from ferryman_server.making.stored_file import StoredFile
from ferryman_server.making.waveform import waveform
from ferryman_server.storage.base import StoreError
from tests.server.making.media_files_rig import corners, film, saved, sound, stored

ROOM = 100_000


def box(name: bytes, *parts: bytes) -> bytes:
    """ISO/IEC 14496-12 §4.2."""
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), name) + content


def full(name: bytes, *parts: bytes) -> bytes:
    """The same with version and flags 0."""
    return box(name, bytes(4), *parts)


def endless(samples: int) -> bytes:
    """An MP4 file of 684 bytes that says that it has so many pictures, each of one byte."""
    unity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    entry = box(
        b"mp4v", bytes(7), b"\1", bytes(16), struct.pack(">HH", 320, 240), bytes(46), struct.pack(">Hh", 24, -1)
    )
    table = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), entry),
        full(b"stts", struct.pack(">III", 1, samples, 1)),
        full(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)),
        full(b"stsz", struct.pack(">II", 1, samples)),
        full(b"stco", struct.pack(">II", 1, 40)),
    )
    here = box(b"dinf", full(b"dref", struct.pack(">I", 1), box(b"url ", b"\0\0\0\1")))
    media = box(
        b"mdia",
        full(b"mdhd", struct.pack(">IIIII", 0, 0, 1000, 1000, 0)),
        full(b"hdlr", bytes(4), b"vide", bytes(13)),
        box(b"minf", full(b"vmhd", bytes(8)), here, table),
    )
    track = full(b"tkhd", struct.pack(">IIIII", 0, 0, 1, 0, 1000), bytes(16), unity, struct.pack(">II", 320, 240))
    head = full(b"mvhd", struct.pack(">IIIII", 0, 0, 1000, 1000, 65536), bytes(12), unity, bytes(24), b"\0\0\0\2")
    return box(b"ftyp", b"isom", bytes(4)) + box(b"moov", head, box(b"trak", track, media)) + box(b"mdat", bytes(100))


def elsewhere(path: Path) -> bytes:
    """The film with its pictures taken out and a QuickTime alias in their place: they are in the file of this path."""
    data = film()
    target = str(path).encode()
    record = bytes(10) + b"\0" + bytes(27 + 12) + b"\0" + bytes(63 + 16 + 4 + 16)
    record += struct.pack(">HH", 2, len(target)) + target + bytes(len(target) % 2) + b"\xff\xff\0\0"
    at = data.index(b"dref") + 12
    alias = box(b"alis", bytes(4), record)
    added = len(alias) - 12  # in the place of "url "
    changed = bytearray(data[:at] + alias + data[at + 12 :])
    for name in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        size = data.rindex(name, 0, at) - 4
        struct.pack_into(">I", changed, size, struct.unpack_from(">I", data, size)[0] + added)
    pictures = data.index(b"mdat") + 4
    changed[pictures : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - pictures)
    return bytes(changed)


def test_another_file_that_is_referred_to_is_not_read(tmp_path: Path) -> None:
    """A QuickTime file whose pictures lie in another file has none; FFmpeg, left to itself, would read them."""
    other = tmp_path / "other.mov"
    other.write_bytes(film())
    referring = elsewhere(other)
    with av.open(BytesIO(referring), "r", options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert next(container.decode(video=0)).width == 96
    with pytest.raises(CannotMake, match="it is no video that can be read"):
        poster(stored(referring), "video", ROOM)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>{}</BaseURL></MPD>',
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "1\n00:00:00,000 --> 00:00:01,000\nwords\n",
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="{}"/></svg>',
    ],
)
def test_lists_of_files_are_no_media(text: str, tmp_path: Path) -> None:
    """Playlists, concatenations, session descriptions, subtitles: none of them is a video, a sound or an image."""
    other = tmp_path / "other.mp4"
    other.write_bytes(film())
    data = text.replace("{}", str(other)).encode()
    for kind in ("video", "audio", "image"):
        with pytest.raises(CannotMake, match="does not begin like"):
            facts_of(stored(data), kind)
    with pytest.raises(CannotMake, match="does not begin like"):
        poster(stored(data), "video", ROOM)
    with pytest.raises(CannotMake, match="does not begin like"):
        waveform(stored(data), ROOM)


def test_an_index_without_end_takes_no_memory() -> None:
    """684 bytes that ask for an index of 2 GB are refused, or found to be nothing, before it is made."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CannotMake):
        poster(stored(endless(80_000_000)), "video", ROOM)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


def test_a_recording_that_was_broken_off() -> None:
    """An MP4 file without its index, which comes last, is told as that."""
    data = film()
    with pytest.raises(CannotMake, match="its index is missing or damaged"):
        facts_of(stored(data[: data.index(b"moov")]), "video")


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """FFmpeg has much to say about a damaged film; none of it reaches the terminal."""
    data = bytearray(film())
    data[200:3000:7] = bytes(len(data[200:3000:7]))
    for make in (lambda: poster(stored(bytes(data)), "video", ROOM), lambda: facts_of(stored(bytes(data)), "video")):
        with suppress(CannotMake):
            make()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.99])
def test_a_store_that_fails_is_told_as_that(share: float) -> None:
    """Wherever the store cannot give a byte, its very error comes out, and the next file does not hear of it."""
    broken = StoreError("the disk is gone")

    def breaking(data: bytes) -> StoredFile:
        place = int(len(data) * share)

        def read(start: int, stop: int) -> list[memoryview]:
            if start <= place < stop:
                raise broken
            return [memoryview(data)[start:stop]]

        return StoredFile(read, len(data), 512)

    for make in (
        lambda: facts_of(breaking(film()), "video"),
        lambda: poster(breaking(film()), "video", ROOM),
        lambda: waveform(breaking(sound("flac", "flac")), ROOM),
        lambda: poster(breaking(saved(corners(), "BMP")), "image", ROOM),
    ):
        with pytest.raises(StoreError) as told:
            make()
        assert told.value is broken
        assert facts_of(stored(film()), "video").width == 96
