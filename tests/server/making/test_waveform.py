"""Waveforms: as high as the sound is loud, for every coding, also of files that nobody reads to their end."""

import struct
from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.stored_file import StoredFile
from ferryman_server.making.waveform import HEIGHT, LEAST, WIDTH, drawn, waveform
from tests.server.making.media_files_rig import SOUND_RATE, film, rf64, saved, sound, stored, swelling, wav


def heights(picture: bytes) -> list[int]:
    """How many pixels each column has."""
    with Image.open(BytesIO(picture)) as image:
        assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))
        alpha = image.convert("RGBA").getchannel("A")
    columns = [alpha.crop((place, 0, place + 1, HEIGHT)) for place in range(WIDTH)]
    return [column.histogram()[255] for column in columns]


def made(data: bytes) -> list[int]:
    """The waveform's columns."""
    return heights(waveform(stored(data), LEAST))


@pytest.mark.parametrize(
    ("codec", "form"),
    [
        ("pcm_s16le", "wav"),
        ("pcm_s24le", "wav"),
        ("pcm_s32le", "wav"),
        ("pcm_f32le", "wav"),
        ("pcm_f64le", "wav"),
        ("pcm_alaw", "wav"),
        ("pcm_s16le", "w64"),
        ("pcm_s16be", "aiff"),
        ("pcm_s16be", "caf"),
        ("flac", "flac"),
        ("alac", "ipod"),
        ("libmp3lame", "mp3"),
        ("aac", "adts"),
        ("aac", "ipod"),
        ("libopus", "ogg"),
        ("libopus", "webm"),
        ("ac3", "ac3"),
    ],
)
def test_a_tone_that_grows(codec: str, form: str) -> None:
    """From a thin line to the full height, in a straight line."""
    columns = made(sound(codec, form))
    for place in range(0, 760, 40):
        assert columns[place] == pytest.approx(place / WIDTH * HEIGHT, abs=9)


@pytest.mark.parametrize(
    "data",
    [wav(swelling(1.0), said=0), wav(swelling(1.0), said=0xFFFFFFFF), wav(swelling(1.0), said=9), rf64(swelling(1.0))],
)
def test_wav_files_whose_sizes_say_nothing(data: bytes) -> None:
    """What is there is heard; where the size is a small lie, what it leaves."""
    columns = made(data)
    said_little = data[40:44] == struct.pack("<I", 9)
    assert (max(columns) <= 2) if said_little else (columns[700] == pytest.approx(105, abs=3))


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 64])
def test_the_loudest_channel_counts(channels: int) -> None:
    """One of many is enough, also where the others are its opposite."""
    frame = [0] * channels
    frame[-1] = 16384
    if channels > 1:
        frame[0] = -16384
    data = wav(struct.pack(f"<{channels}h", *frame) * 5000, channels=channels)
    assert set(made(data)) <= ({30, 31} if channels == 1 else {60, 61})


def test_silence_is_a_thin_line() -> None:
    """One pixel, in the middle."""
    assert set(made(wav(bytes(400_000)))) == {1}


def test_full_scale() -> None:
    """The highest sample is in the first row, the lowest in the last."""
    assert set(heights(drawn([(-(2**31), 2**31 - 1)] * WIDTH))) == {HEIGHT}
    assert set(heights(drawn([(0, 0)] * WIDTH))) == {1}


def test_one_sample() -> None:
    """As short as a sound can be, it has a waveform."""
    assert len(set(made(wav(b"\0\x40", channels=1)))) == 1


def test_loud_floating_point() -> None:
    """What is louder than full scale ends there; what is no number does no harm."""
    loud = struct.pack("<4f", 7.0, -9.0, float("inf"), float("nan")) * 4000
    assert max(made(wav(loud, bits=32, coding=3))) == HEIGHT


def test_a_gigabyte_is_not_read() -> None:
    """Of a large file each column is a moment: a tone in its second half is seen there, for few of the bytes."""
    size = 1 << 30
    head = wav(b"", said=size)
    tone = struct.pack("<2h", 32767, -32768) * 4096

    def read(start: int, stop: int) -> Iterator[memoryview]:
        at = start
        while at < stop:
            if at < len(head):
                piece = head[at : min(stop, len(head))]
            elif at < size // 2:
                piece = bytes(min(stop, size // 2) - at)
            else:
                begins = (at - len(head)) % 4
                piece = tone[begins : begins + stop - at]
            yield memoryview(piece)
            at += len(piece)

    file = StoredFile(read, size + len(head), 1 << 20)
    columns = heights(waveform(file, LEAST))
    assert set(columns[:399]) == {1}
    assert set(columns[401:]) == {HEIGHT}
    assert file.bytes_read < 36 << 20


def test_a_film_has_a_waveform_of_its_sound() -> None:
    """Sound in a container of films is sound."""
    assert max(made(sound("aac", "mov"))) > 100


def test_what_has_no_sound() -> None:
    """No stream, no samples, an image, too little room: each is told."""
    with pytest.raises(CannotMake, match="there is no sound in it"):
        made(film())
    with pytest.raises(CannotMake, match="none of its sound could be decoded"):
        made(wav(b""))
    with pytest.raises(CannotMake, match="does not begin like"):
        made(saved(Image.new("L", (5, 5)), "PNG"))
    with pytest.raises(ValueError, match="16384 are the least"):
        waveform(stored(wav(swelling(1.0))), 16383)


def test_it_takes_no_more_than_its_room() -> None:
    """Noise in every column is the most that there can be."""
    noise = [(-(place * 7919 % 2**31), place * 104729 % 2**31) for place in range(WIDTH)]
    assert len(drawn(noise)) <= LEAST


def test_sound_that_changes_on_the_way() -> None:
    """Two files one after another, of different rates: both are heard."""
    one, other = sound("libmp3lame", "mp3"), sound("libmp3lame", "mp3", 2.0)
    columns = made(one + other)
    assert columns[260] > 90
    assert columns[330] < 60
    assert SOUND_RATE == 48000
