"""Names sort in the order in which people count."""

import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.natural_order import natural_key

NAMES: Final = st.text(alphabet="019 ab./-_٣²é\0", max_size=12) | st.text(max_size=12)
TEXTS: Final = st.text(max_size=6)


def counted(name: str) -> list[tuple[int, int]]:
    """The plain model: a number counts by its value and stands where a zero would, all else by its code point."""
    tokens = re.findall(r"[0-9]+|[^0-9]", name, re.DOTALL)
    return [(ord("0"), int(token)) if re.fullmatch("[0-9]+", token) else (ord(token), 0) for token in tokens]


@pytest.mark.parametrize(
    "names",
    [
        ["frame2", "frame10"],
        ["frame_1.png", "frame_2.png", "frame_10.png", "frame_11.png", "frame_100.png"],
        ["0", "00", "000", "01", "1", "2"],
        ["take1 frame9", "take1 frame10", "take2 frame1"],
        ["1", "a1", "a1b", "a2"],
        ["9", "99999999999999999999", "100000000000000000000"],
    ],
)
def test_people_count_like_this(names: list[str]) -> None:
    """Numbers count by their value, wherever they stand; equal ones by how they are written."""
    backwards = names[::-1]
    assert sorted(backwards, key=natural_key) == names


@given(before=TEXTS, after=TEXTS, a=st.integers(0), b=st.integers(0), zeros=st.integers(0, 3))
def test_digits_compare_as_numbers(before: str, after: str, a: int, b: int, zeros: int) -> None:
    """With the same text around it, the smaller number comes first, however many zeros are before it."""
    small, large = sorted((a, b))
    before, after = before.rstrip("0123456789"), after.lstrip("0123456789")
    first, second = f"{before}{'0' * zeros}{small}{after}", f"{before}{large}{after}"
    assert natural_key(first) < natural_key(second) or small == large


@given(NAMES, NAMES)
def test_the_order_is_that_of_the_model(a: str, b: str) -> None:
    """Two names stand as the plain model says, and by their text where it sees no difference."""
    assert (natural_key(a) < natural_key(b)) == ((counted(a), a) < (counted(b), b))


@given(NAMES, NAMES)
def test_different_names_are_never_equal(a: str, b: str) -> None:
    """So the order of a set of names does not depend on the order in which they came."""
    assert (natural_key(a) == natural_key(b)) == (a == b)


def test_only_ascii_digits_count() -> None:
    """Digits of other scripts and superscripts are letters: they neither fail nor join a number."""
    names = ["a10", "a2²", "a2", "a٣", "a1٣"]
    assert sorted(names, key=natural_key) == ["a1٣", "a2", "a2²", "a10", "a٣"]


def test_no_run_of_digits_is_too_long() -> None:
    """Numbers far beyond what Python converts compare, the longer one after the shorter."""
    long = "7" * 200_000
    names = [f"a{long}8.png", f"a{long}.png", f"a{'0' * 300_000}{long}.png", "a8.png"]
    assert sorted(names, key=natural_key) == ["a8.png", names[2], names[1], names[0]]
