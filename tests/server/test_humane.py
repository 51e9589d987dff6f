"""Text for people is short, readable and harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.humane import human_duration, human_size, printable


@given(st.text())
def test_nothing_unprintable_gets_through(text: str) -> None:
    """Whatever a stranger wrote, the terminal only sees printable characters; printable text stays as it is."""
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


def test_control_characters_are_shown_as_escapes() -> None:
    """People can see what was there, also half a surrogate pair."""
    assert printable("a\x1b[0m\n\u202e\udc80é") == "a\\x1b[0m\\n\\u202e\\udc80é"


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_999, "1.0 MB"), (10**18, "1000.0 PB")],
)
def test_sizes(size: int, expected: str) -> None:
    """Three figures and a unit."""
    assert human_size(size) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
        (86_400, "1 d"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    """Two units at most."""
    assert human_duration(seconds) == expected
