"""Peaks: the extremes of every stretch, of any number of samples, in whatever pieces they come."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.making.peaks import Peaks, extremes

SAMPLE = st.integers(-(2**31), 2**31 - 1)


def as_bytes(samples: list[int]) -> memoryview:
    """As decoders give them."""
    return memoryview(array("i", samples).tobytes())


@given(samples=st.lists(SAMPLE, min_size=1))
def test_extremes_are_those_of_python(samples: list[int]) -> None:
    """Pillow finds what `min` and `max` find."""
    assert extremes(as_bytes(samples)) == (min(samples), max(samples))


@given(
    count=st.integers(1, 20_000),
    channels=st.integers(1, 3),
    piece=st.integers(1, 3000),
    place=st.integers(0),
    columns=st.sampled_from([1, 2, 8]),
)
def test_a_click_is_seen_where_it_is(count: int, channels: int, piece: int, place: int, columns: int) -> None:
    """One sample in silence is in the column of its time, or the next one, and in no other."""
    samples = [0] * (count * channels)
    samples[place % len(samples)] = 1000
    peaks = Peaks(2 * columns)
    data = as_bytes(samples)
    for at in range(0, len(data), piece * channels * 4):
        peaks.add(data[at : at + piece * channels * 4], channels)
    found = peaks.columns(columns)
    assert len(found) == columns
    heard = [number for number, peak in enumerate(found) if peak[1] == 1000]
    assert heard
    assert all(peak == (0, 0) for number, peak in enumerate(found) if number not in heard)
    if count >= 64 * columns:  # no stretch is wider than a column then
        share = place % len(samples) // channels / count
        assert all(abs((number + 0.5) / columns - share) <= 1.5 / columns for number in heard)


def test_silence_of_no_length() -> None:
    """Without samples there are no columns."""
    assert Peaks(4).columns(2) == []
