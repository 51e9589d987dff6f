"""How titles are ordered and found."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.state.media_words import folded, search_text, threes_of, title_key, words_of

_some = st.text(st.sampled_from("aÄ ß\n\u0301\x00İ猫ﬁ"), max_size=12)
_texts = st.text() | _some


@given(text=_texts)
def test_folding_twice_is_folding_once(text: str) -> None:
    """What is searched and what is searched for meet in one form."""
    assert folded(folded(text)) == folded(text)


@given(text=_texts)
def test_folded_text_can_be_kept(text: str) -> None:
    """One line without control characters, halves of surrogate pairs and spaces at its ends."""
    plain = folded(text)
    plain.encode()
    assert plain == " ".join(plain.split())
    assert not any(char < " " or char == "\x7f" for char in plain)


@given(title=_texts, name=_texts, tags=st.lists(_texts, max_size=3))
def test_each_word_of_a_medium_finds_it(title: str, name: str, tags: list[str]) -> None:
    """Whoever types a title, a name or a tag as it is finds the medium."""
    text = search_text(title, name, tags)
    for part in (title, name, *tags):
        assert all(word in text for word in words_of(part))


@given(word=st.text("abc", min_size=1), before=st.text("abc"), behind=st.text("abc"))
def test_threes_tell_a_superset(word: str, before: str, behind: str) -> None:
    """Where a word is, its runs of three are; a shorter word begins some run, even at the end of the text."""
    text = search_text(before + word + behind, "", ())
    threes = {text[place : place + 3] for place in range(len(text) - 2)}
    assert threes.issuperset(threes_of(word))
    assert bool(threes_of(word)) is (len(word) >= 3)
    if len(word) < 3:
        assert any(three.startswith(word) for three in threes)


@given(word=st.text("abc", min_size=3))
def test_threes_cover_the_word(word: str) -> None:
    """Each character is in one of them, and there are no more than needed."""
    threes = threes_of(word)
    assert set("".join(threes)) == set(word)
    assert len(threes) <= -(-len(word) // 3)


@given(one=st.integers(0, 10**30), other=st.integers(0, 10**30), zeros=st.text("0", max_size=3))
def test_numbers_in_titles_are_counted(one: int, other: int, zeros: str) -> None:
    """Frame 2 comes before frame 10, whatever stands behind, and leading zeros do not matter."""
    assert (title_key(f"Frame {zeros}{one} x") < title_key(f"frame {other} a")) is (one < other)


def test_titles_in_their_order() -> None:
    """Without case and accents, as people count."""
    titles = ["Äpfel 2", "apfel 10", "Apfel 010b", "bar", "Bär 1", "zoo"]
    for shuffled in itertools.permutations(titles):
        assert sorted(shuffled, key=title_key) == titles


def test_long_titles_have_short_keys() -> None:
    """A key is bounded, whatever the title."""
    assert len(title_key("1a" * 10_000)) <= 400
    assert len(title_key("9" * 10_000)) <= 400


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ("", []),
        (" \n", []),
        ("Straße  ÉTÉ strasse", ["strasse", "ete"]),
        (" ".join(str(number) for number in range(100, 150)), [str(number) for number in range(100, 116)]),
    ],
)
def test_words_of_a_search(search: str, words: list[str]) -> None:
    """Each once, folded, and not without end."""
    assert words_of(search) == words
