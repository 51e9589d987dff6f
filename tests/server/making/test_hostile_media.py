"""Files that were cut off, changed or made up: there is a result or a reason in words, and nothing else."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman_server.making.errors import CannotMake
from ferryman_server.making.facts import facts_of
from ferryman_server.making.poster import poster
from ferryman_server.making.waveform import waveform
from ferryman_server.state.media import Kind
from tests.server.making.media_files_rig import corners, exif, film, rf64, saved, sound, stored, swelling, wav

MOST = 50_000
SAMPLES: list[tuple[Kind, bytes]] = [
    *(("video", film(*way, 6)) for way in (("libx264", "mp4"), ("libx264", "mpegts"), ("libvpx-vp9", "webm"))),
    *(("video", film(*way, 6)) for way in (("mpeg4", "avi"), ("libx265", "mov"), ("mpeg2video", "mpeg"))),
    *(("audio", sound(*way, 0.2)) for way in (("flac", "flac"), ("libmp3lame", "mp3"), ("libopus", "ogg"))),
    *(("audio", sound(*way, 0.2)) for way in (("aac", "ipod"), ("aac", "adts"), ("pcm_s16be", "aiff"))),
    ("audio", wav(swelling(0.05))),
    ("audio", rf64(swelling(0.05))),
    *(("image", saved(corners(), form, exif=exif(6))) for form in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")),
    *(("image", saved(corners(), form)) for form in ("GIF", "BMP")),
    ("image", saved(corners(), "GIF", save_all=True, append_images=[corners().rotate(90)], duration=100)),
]
NASTY = st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\xff"])


def tried(kind: Kind, data: bytes) -> None:
    """Make everything that there is of this kind; whatever is raised but a reason fails the test."""
    with suppress(CannotMake):
        facts = facts_of(stored(data), kind)
        assert all(value is None or value > 0 for value in (facts.width, facts.height, facts.fps, facts.duration))
    with suppress(CannotMake):
        made = waveform(stored(data), MOST) if kind == "audio" else poster(stored(data), kind, MOST)
        assert 0 < len(made) <= MOST
        assert made[:3] == (b"\x89PN" if kind == "audio" else b"\xff\xd8\xff")


@settings(max_examples=150, deadline=None)
@given(sample=st.sampled_from(SAMPLES), share=st.floats(0, 1))
def test_files_that_were_cut_off(sample: tuple[Kind, bytes], share: float) -> None:
    """At any byte."""
    kind, data = sample
    tried(kind, data[: int(len(data) * share)])


@settings(max_examples=250, deadline=None)
@given(
    sample=st.sampled_from(SAMPLES),
    changes=st.lists(
        st.tuples(st.floats(0, 1) | st.floats(0, 0.05), NASTY | st.binary(max_size=6), st.booleans()), max_size=12
    ),
)
def test_files_that_were_changed(sample: tuple[Kind, bytes], changes: list[tuple[float, bytes, bool]]) -> None:
    """Bytes replaced and put in anywhere, and more often near the beginning, where the headers are."""
    kind, data = sample
    for share, put, inside in changes:
        place = int(len(data) * share)
        data = data[:place] + put + data[place if inside else place + len(put) :]
    tried(kind, data)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["video", "audio", "image"]),
    head=st.sampled_from([data[:length] for _, data in SAMPLES for length in (0, 16, 100)]),
    rest=st.binary(max_size=300),
)
def test_bytes_that_were_made_up(kind: Kind, head: bytes, rest: bytes) -> None:
    """Also such as begin like something that is known."""
    tried(kind, head + rest)


@pytest.mark.parametrize("kind", ["video", "audio", "image"])
def test_each_sample_as_each_kind(kind: Kind) -> None:
    """A file may be named as what it is not."""
    for _, data in SAMPLES:
        tried(kind, data)


@pytest.mark.parametrize(("kind", "data"), SAMPLES)
def test_the_samples_themselves(kind: Kind, data: bytes) -> None:
    """Without a change there is no reason not to make something: else the tests above would show nothing."""
    facts_of(stored(data), kind)
    assert waveform(stored(data), MOST) if kind == "audio" else poster(stored(data), kind, MOST)
