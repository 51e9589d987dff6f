"""The pulse of a body: it is cut for silence, or for coming too slowly for too long, and for nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.pulse import Pulse


def _pulse(*, min_rate: float = 0.0) -> Pulse:
    return Pulse(100.0, idle_timeout=60.0, min_rate=min_rate, window=300.0)


def test_a_silent_body_is_due_after_the_idle_timeout() -> None:
    """It counts from the last byte."""
    pulse = _pulse()
    assert pulse.due(100.0) == 160.0
    pulse.beat(1, 150.0)
    assert pulse.due(151.0) == 210.0


def test_a_body_that_brings_too_little_in_a_window_is_due_at_its_end() -> None:
    """64 B/s over 300 s are 19,200 bytes; one byte less is too little."""
    pulse = _pulse(min_rate=64)
    pulse.beat(19_199, 399.0)
    assert pulse.due(400.0) == 400.0


def test_a_body_that_brings_just_enough_lives_on_into_the_next_window() -> None:
    """The next window counts from zero: what was good once does not last for ever."""
    pulse = _pulse(min_rate=64)
    pulse.beat(19_200, 399.0)
    assert pulse.due(400.0) == 459.0
    for now in range(450, 700, 50):
        pulse.beat(1, float(now))
    assert pulse.due(700.0) == 700.0


def test_time_in_which_the_client_was_held_back_does_not_count() -> None:
    """Both clocks start anew when it may send again."""
    pulse = _pulse(min_rate=64)
    pulse.excuse(390.0)
    assert pulse.due(390.0) == 450.0
    pulse.beat(1, 449.0)
    pulse.beat(1, 508.0)
    assert pulse.due(509.0) == 568.0


@given(beats=st.lists(st.tuples(st.floats(0.1, 59.0), st.integers(3_840, 10_000)), min_size=1, max_size=60))
def test_a_body_that_always_brings_enough_is_never_cut(beats: list[tuple[float, int]]) -> None:
    """For all rhythms below the idle timeout whose every beat carries 60 s' worth."""
    pulse, now = _pulse(min_rate=64), 100.0
    for pause, size in beats:
        now += pause
        pulse.beat(size, now)
        assert pulse.due(now) > now
