"""File names and media types in header fields: whatever comes in, what goes out is in the field's grammar."""

import re
from typing import Final, Literal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.disposition import DEFAULT_MEDIA_TYPE, MAX_NAME, content_disposition, safe_media_type

# RFC 6266 §4.1 as we write it: a quoted name without escapes, an extended one in attr-char and percent-encoding.
FIELD: Final = re.compile(
    r"(?P<kind>inline|attachment)"
    r'(?:; filename="(?P<plain>[\x20-\x7e]+)"'
    r"(?:; filename\*=UTF-8''(?P<exact>(?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})+))?)?"
)

names = st.one_of(
    st.text(), st.text(alphabet='ab./\\"%;\r\n\0é\u202e\ud800 ', max_size=40), st.text(min_size=200, max_size=600)
)


def parsed(value: str) -> tuple[str, str | None]:
    """The kind and the file name that a client reads from the field."""
    match = FIELD.fullmatch(value)
    assert match is not None, value
    if match["plain"] is not None:
        assert not set(match["plain"]) & set('"\\%')
    return match["kind"], unquote(match["exact"], errors="strict") if match["exact"] else match["plain"]


@given(kind=st.sampled_from(["inline", "attachment"]), filename=st.none() | names)
def test_any_name_makes_a_well_formed_field(kind: Literal["inline", "attachment"], filename: str | None) -> None:
    """The field parses back to the kind and to a name that is one harmless path segment of bounded length."""
    read_kind, name = parsed(content_disposition(kind, filename))
    assert read_kind == kind
    if name is not None:
        assert filename is not None
        assert len(name.encode()) <= MAX_NAME
        assert name not in ("", ".", "..")
        assert not re.search(r"[/\\\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", name)


@given(name=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=40))
def test_a_harmless_name_arrives_as_it_is(name: str) -> None:
    """Letters and digits of any script come back unchanged."""
    assert parsed(content_disposition("attachment", name + ".zip")) == ("attachment", name + ".zip")


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("film.zip", 'attachment; filename="film.zip"'),
        ("a b;c.zip", 'attachment; filename="a b;c.zip"'),
        ("Fähre €.zip", "attachment; filename=\"F_hre _.zip\"; filename*=UTF-8''F%C3%A4hre%20%E2%82%AC.zip"),
        ('say "hi"\\now.txt', 'attachment; filename="now.txt"'),
        ('say "hi".txt', "attachment; filename=\"say _hi_.txt\"; filename*=UTF-8''say%20%22hi%22.txt"),
        ("100%41.txt", "attachment; filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\films\\new.mp4", 'attachment; filename="new.mp4"'),
        ("folder/", 'attachment; filename="folder"'),
        ("a\r\nSet-Cookie: b=c", 'attachment; filename="aSet-Cookie: b=c"'),
        ("\u202egnp.exe", 'attachment; filename="gnp.exe"'),
        ("\ud800x", 'attachment; filename="x"'),
        (" .bashrc ", 'attachment; filename=".bashrc"'),
        ("..", "attachment"),
        ("\0", "attachment"),
        ("", "attachment"),
        (None, "attachment"),
    ],
)
def test_names_people_and_attackers_use(filename: str | None, expected: str) -> None:
    """What becomes of each name, to the letter."""
    assert content_disposition("attachment", filename) == expected


@pytest.mark.parametrize("letter", ["x", "é", "船", "🚢"])
def test_a_long_name_is_cut_at_a_character_and_keeps_its_suffix(letter: str) -> None:
    """255 bytes at most, whole characters, the suffix still there."""
    _, name = parsed(content_disposition("attachment", letter * 300 + ".tar"))
    assert name is not None
    assert re.fullmatch(rf"{letter}+\.tar", name)
    assert MAX_NAME - 4 < len(name.encode()) <= MAX_NAME


def test_a_suffix_that_is_most_of_the_name_is_cut_too() -> None:
    """A dot near the beginning does not make the rest a suffix to be kept."""
    assert parsed(content_disposition("inline", "a." + "b" * 400)) == ("inline", "a." + "b" * 253)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image/png", "image/png"),
        ("Text/HTML", "text/html"),
        ("text/plain; charset=UTF-8", "text/plain; charset=utf-8"),
        ('text/plain;charset="iso-8859-1"; format=flowed', "text/plain; charset=iso-8859-1"),
        ("text/plain; format=flowed", "text/plain"),
        ("text/plain; xcharset=utf-7", "text/plain"),
        ("application/vnd.api+json", "application/vnd.api+json"),
        ("text/plain;", "text/plain"),
        ("text", DEFAULT_MEDIA_TYPE),
        ("text/", DEFAULT_MEDIA_TYPE),
        ("text/plain, text/html", DEFAULT_MEDIA_TYPE),
        ("text/plain\r\nX: y", DEFAULT_MEDIA_TYPE),
        ("text/plain\n", DEFAULT_MEDIA_TYPE),
        ("", DEFAULT_MEDIA_TYPE),
        ("x/" + "y" * 300, DEFAULT_MEDIA_TYPE),
        (None, DEFAULT_MEDIA_TYPE),
    ],
)
def test_media_types(text: str | None, expected: str) -> None:
    """A type is kept with its charset alone; what is none becomes unspecified bytes."""
    assert safe_media_type(text) == expected


@given(text=st.text() | st.text(alphabet='text/plain;charset="=\r\n é', max_size=60))
def test_any_media_type_makes_a_well_formed_field(text: str) -> None:
    """Type and subtype are tokens, the only parameter is charset, whatever came in."""
    token = r"[!#$%&'*+\-.^_`|~0-9a-z]+"
    assert re.fullmatch(rf"{token}/{token}(; charset={token})?", safe_media_type(text))


@given(text=st.from_regex(r"\A[a-z]{1,9}/[a-z]{1,9}(; charset=[a-z0-9-]{1,9})?\Z"))
def test_a_safe_media_type_stays_as_it_is(text: str) -> None:
    """Making it safe twice changes nothing more."""
    assert safe_media_type(text) == text
