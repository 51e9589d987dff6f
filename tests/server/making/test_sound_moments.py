"""Moments of long sounds: they are where they should be, in every container, for few bytes."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.making.av_opening import opened
from ferryman_server.making.av_streams import audio_of, prepare
from ferryman_server.making.peaks import FULL_SCALE, Peak
from ferryman_server.making.sound_moments import coarse_first, moments, without_gaps
from tests.server.making.media_files_rig import sound, stored

PEAK = st.tuples(st.integers(-9, 0), st.integers(0, 9))
LONG = 8.0  # seconds


def heard(data: bytes, count: int, budget: int = 1 << 30) -> list[Peak | None]:
    """So many moments of a sound."""
    file = stored(data, 4096)
    with opened(file, "audio file", budget) as (container, feed):
        stream = audio_of(container)
        assert stream is not None
        prepare(container, stream)
        return moments(container, stream, feed, file.size, count)


@pytest.mark.parametrize(
    ("codec", "form"),
    [
        ("pcm_s16le", "wav"),
        ("flac", "flac"),
        ("libmp3lame", "mp3"),
        ("aac", "ipod"),
        ("alac", "ipod"),
        ("libopus", "ogg"),
        ("libopus", "webm"),
        ("aac", "mpegts"),
        ("pcm_s16be", "aiff"),
    ],
)
def test_a_tone_that_grows(codec: str, form: str) -> None:
    """Each moment is as loud as the tone is there; where jumps go by bytes, quiet sound takes fewer of them."""
    allowed = 0.15 if form in ("flac", "mp3", "ogg", "mpegts") else 0.07
    for place, peak in enumerate(heard(sound(codec, form, LONG), 20)):
        assert peak is not None
        assert peak[1] / FULL_SCALE == pytest.approx(place / 20, abs=allowed)
        assert peak[0] / FULL_SCALE == pytest.approx(-place / 20, abs=allowed)


def test_a_stream_in_which_frames_are_hard_to_find() -> None:
    """In ADTS what looks like a frame and is none costs up to 8 KiB: in a short file some moments are missed."""
    found = [peak[1] / FULL_SCALE for peak in heard(sound("aac", "adts", LONG), 20) if peak is not None]
    assert len(found) >= 15
    assert found[0] < 0.2
    assert found[-1] > 0.8


def test_where_the_budget_ends_the_sound_was_heard_all_over() -> None:
    """What is left out lies between moments that are there."""
    found = heard(sound("pcm_s16le", "wav", LONG), 64, 2_200_000)
    gaps = [peak is None for peak in found]
    assert 8 <= sum(gaps) < 64
    assert not any(gaps[::16])


@given(count=st.integers(1, 3000))
def test_each_place_comes_once(count: int) -> None:
    """The order is one of all places."""
    assert sorted(coarse_first(count)) == list(range(count))


@given(count=st.integers(2, 1000), share=st.integers(2, 1000))
def test_the_first_places_are_spread(count: int, share: int) -> None:
    """Wherever it is broken off, no gap is more than four times what it would be at best."""
    taken = min(share, count)
    places = sorted(islice(coarse_first(count), taken))
    gaps = [after - before for before, after in zip(places, [*places[1:], count], strict=True)]
    assert max(gaps) <= 4 * count / taken + 1


@given(found=st.lists(st.none() | PEAK))
def test_gaps_are_filled(found: list[Peak | None]) -> None:
    """What was found stays, and nothing else comes in."""
    filled = without_gaps(found)
    known = [peak for peak in found if peak is not None]
    assert len(filled) == (len(found) if known else 0)
    assert set(filled) == set(known)
    assert all(peak in (None, other) for peak, other in zip(found, filled, strict=False))
