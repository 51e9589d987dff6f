"""Slugs of media."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.state.media_slugs import LONGEST, RESERVED, is_slug, make_slug, numbered

_NUMBERS = r"[0-9xobe.+_-]{1,90}|0[xX][0-9a-fA-F]{1,90}|[0-9]{1,3}-[0-9]{1,3}|nan|-?inf(inity)?"
_numberish = st.from_regex(_NUMBERS, fullmatch=True)
_texts = st.text() | _numberish | st.text("abc-/.\\%", max_size=200)


def is_number(slug: str) -> bool:
    """Whether Python reads it as a number, of whichever form."""
    for read in (float, int, lambda text: int(text, 0)):
        try:
            read(slug)
        except ValueError:
            continue
        return True
    return False


@given(text=_texts, number=st.integers(2, 10**9))
def test_any_text_makes_a_safe_slug(text: str, number: int) -> None:
    """Lower-case letters, digits and single hyphens, short, never empty, a number, a range or a path; numbered too."""
    for slug in (make_slug(text), numbered(make_slug(text), number)):
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
        assert len(slug) <= LONGEST
        assert not is_number(slug)
        assert not re.fullmatch(r"[0-9-]+", slug)
        assert is_slug(slug) or slug in RESERVED


@given(text=_texts)
def test_slug_of_a_slug_is_itself(text: str) -> None:
    """What came out once is not changed again."""
    assert make_slug(make_slug(text)) == make_slug(text)


@given(text=_texts, first=st.integers(2, 10**9), second=st.integers(2, 10**9))
def test_numbers_tell_slugs_apart(text: str, first: int, second: int) -> None:
    """Of one slug, other numbers make other slugs, none of which is the slug itself."""
    slug = make_slug(text)
    assert (numbered(slug, first) == numbered(slug, second)) is (first == second)
    assert slug == make_slug(text) != numbered(slug, first)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Été à la plage!", "ete-a-la-plage"),
        ("../../etc/passwd", "etc-passwd"),
        ("C:\\Windows", "c-windows"),
        ("2024 holiday", "2024-holiday"),
        ("2024", "medium-2024"),
        ("0-9", "medium-0-9"),
        ("1e5", "medium-1e5"),
        ("0x1F", "medium-0x1f"),
        ("NaN", "medium-nan"),
        ("Ⅷ ﬁlms \uff12", "viii-films-2"),
        ("猫", "medium"),
        ("", "medium"),
        ("%00%2e%2e", "00-2e-2e"),
        ("a" * 79 + " bc", "a" * 79),
    ],
)
def test_slugs_read_like_their_titles(text: str, slug: str) -> None:
    """Accents are dropped, everything between words is one hyphen."""
    assert make_slug(text) == slug


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "a-",
        "-a",
        "a--b",
        "A",
        "é",
        "a b",
        "a/b",
        "a.b",
        "active",
        "7",
        "1-2",
        "1e5",
        "0x",
        "inf",
        "a" * 81,
        "a\n",
    ],
)
def test_what_is_no_slug(text: str) -> None:
    """Whoever lets people choose a slug can tell."""
    assert not is_slug(text)


@pytest.mark.parametrize("text", ["a", "a-1", "7up", "1e5x", "infinite", "activate", "a" * 80])
def test_what_may_be_a_slug(text: str) -> None:
    """Titles with numbers in them are no trick."""
    assert is_slug(text)


def test_numbered_slug_that_is_cut_is_no_number() -> None:
    """Where only digits would be left of a long slug, it is still a word."""
    slug = make_slug("1" * 79 + "a")
    assert is_slug(slug)
    assert is_slug(numbered(slug, 12))
