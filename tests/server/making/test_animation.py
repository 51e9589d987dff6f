"""How long animations run, from their structure alone."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.making.animation import running_time
from tests.server.making.media_files_rig import corners, saved

FORMS = ["PNG", "GIF", "WEBP"]


def animated(form: str, durations: list[int]) -> bytes:
    """The corners, turning; durations in milliseconds."""
    others = [corners().rotate(20 * turn) for turn in range(1, len(durations))]
    return saved(corners(), form, save_all=True, append_images=others, duration=durations)


@pytest.mark.parametrize("form", FORMS)
@given(durations=st.lists(st.integers(2, 300), min_size=2, max_size=5))
def test_all_pictures_are_counted(form: str, durations: list[int]) -> None:
    """Their times are added up."""
    data = animated(form, [10 * duration for duration in durations])
    count, seconds = running_time(BytesIO(data))
    assert count == len(durations)
    assert seconds == pytest.approx(sum(durations) / 100, abs=0.002)


@pytest.mark.parametrize("form", FORMS)
def test_a_single_picture_is_no_animation(form: str) -> None:
    """It has no duration."""
    assert running_time(BytesIO(saved(corners(), form))) == (0, 0.0)


def test_pictures_without_a_time_have_that_of_the_browsers() -> None:
    """A tenth of a second each."""
    assert running_time(BytesIO(animated("GIF", [0, 0, 0]))) == (3, 0.3)


@given(form=st.sampled_from(FORMS), cut=st.integers(0, 1500), data=st.binary(max_size=100))
def test_any_bytes_run_for_some_time(form: str, cut: int, data: bytes) -> None:
    """Damaged ones for as long as is known, others not at all."""
    whole = animated(form, [100, 200, 300])
    for content in (data, whole[:cut], whole[:cut] + data):
        count, seconds = running_time(BytesIO(content))
        assert (count > 1) == (seconds > 0)
