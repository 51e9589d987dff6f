"""metadata.json is read, or a refusal names the field, what stood there and what should."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.frame_formats import Format
from ferryman_server.media.metadata import MAX_METADATA, BadMetadata, Metadata, parse_metadata

GOOD: Final[dict[str, Any]] = {"width": 320, "height": 240, "format": "rgb565le", "fps": 25}


def written(fields: object) -> bytes:
    """The content of a file that says so."""
    return json.dumps(fields).encode()


def refusal(data: bytes) -> BadMetadata:
    """Why it is refused."""
    with pytest.raises(BadMetadata) as refused:
        parse_metadata(data)
    assert str(refused.value) == refused.value.reason
    return refused.value


def test_the_required_fields_suffice() -> None:
    """Four fields say what frames are; the others are not known then."""
    assert parse_metadata(written(GOOD)) == Metadata(
        width=320, height=240, format=Format.RGB565LE, fps=25.0, frames=None, title=None
    )


def test_every_field() -> None:
    """The optional ones are taken too, and what nobody knows is ignored, however it looks."""
    fields = GOOD | {"fps": 29.97, "frames": ["b.rgb", "a.rgb"], "title": " Überfahrt ", "made": {"by": [1e999]}}
    assert parse_metadata(written(fields)) == Metadata(
        320, 240, Format.RGB565LE, 29.97, ("b.rgb", "a.rgb"), "Überfahrt"
    )


@pytest.mark.parametrize(("text", "form"), [(form.value, form) for form in Format] + [("jpg", Format.JPEG)])
def test_formats_in_any_case(text: str, form: Format) -> None:
    """All six are known, in any case, and one by its other name."""
    for spelling in (text, text.upper(), text.title()):
        assert parse_metadata(written(GOOD | {"format": spelling})).format is form


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("width", 1, 1),
        ("width", 16_384, 16_384),
        ("height", 240.0, 240),  # a whole number, JSON has no others
        ("fps", 0.001, 0.001),
        ("fps", 1000, 1000.0),
        ("frames", 1, 1),
        ("frames", None, None),
        ("title", None, None),
        ("title", "   ", None),
        ("title", "é" * 200, "é" * 200),
        ("title", "🚢 עברית \u200f", "🚢 עברית \u200f"),
    ],
)
def test_what_is_just_within_bounds(name: str, value: object, read: object) -> None:
    """Bounds are inclusive, and empty optional fields say nothing."""
    parsed = getattr(parse_metadata(written(GOOD | {name: value})), name)
    assert parsed == read
    assert type(parsed) is type(read)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("width", 0, "width is 0; a whole number from 1 to 16384 is expected"),
        ("width", 16_385, "width is 16385;"),
        ("width", -320, "width is -320;"),
        ("width", 320.5, "width is 320.5;"),
        ("width", "320", "width is '320';"),
        ("width", True, "width is true;"),
        ("width", None, "width is null;"),
        ("height", [240], "height is a list;"),
        ("height", {"px": 240}, "height is an object;"),
        ("format", "rgb565", "rgb565le (the low byte first) or rgb565be (the high byte first) is expected"),
        ("format", "RGB565", "format is 'RGB565', which does not say the order of the two bytes"),
        ("format", "gif", "format is 'gif'; one of rgb565le, rgb565be, rgb888, png, jpeg, webp is expected"),
        ("format", 565, "format is 565;"),
        ("format", "", "format is '';"),
        ("format", "\x1b[31m", r"format is '\x1b[31m';"),
        ("fps", 0, "fps is 0; a number above 0, up to 1000 is expected"),
        ("fps", -1, "fps is -1;"),
        ("fps", 1000.5, "fps is 1000.5;"),
        ("fps", float("nan"), "fps is NaN;"),
        ("fps", float("inf"), "fps is Infinity;"),
        ("fps", float("-inf"), "fps is -Infinity;"),
        ("fps", "25", "fps is '25';"),
        ("fps", False, "fps is false;"),
        ("frames", 0, "frames is 0; the number of frames, 1 or more, or the list of their file names is expected"),
        ("frames", 2.5, "frames is 2.5;"),
        ("frames", True, "frames is true;"),
        ("frames", "a.png", "frames is 'a.png';"),
        ("frames", [], "frames is an empty list;"),
        ("frames", ["a.png", 7], "frames[1] is 7; a file name is expected"),
        ("frames", ["a.png", ""], "frames[1] is '';"),
        ("frames", ["a.png", "b.png", "a.png"], "frames lists 'a.png' twice;"),
        ("title", 7, "title is 7; text is expected"),
        ("title", "a" * 201, "title has 201 characters; at most 200 are taken"),
        ("title", "two\nlines", "title has the control character U+000A at place 3;"),
        ("title", "two\u2028lines", "U+2028"),
        ("title", "half \ud83d", "U+D83D"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(name: str, value: object, words: str) -> None:
    """The refusal names the field, shows what stood there, and says what is expected."""
    bad = refusal(written(GOOD | {name: value}))
    assert bad.field == name
    assert bad.reason.startswith(name)
    assert words in bad.reason


@pytest.mark.parametrize("name", ["width", "height", "fps", "frames"])
def test_no_number_is_too_long(name: str) -> None:
    """One that no float and no conversion of Python's takes is refused like any other, and shown in short."""
    for number in ("1" + "0" * 100_000, "1e400", "0." + "0" * 5000 + "1"):
        bad = refusal(written(GOOD | {name: "here"}).replace(b'"here"', number.encode()))
        assert bad.field == name
        assert bad.reason.startswith(f"{name} is {number[:4]}")
        assert len(bad.reason) < 200


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_field_is_named(name: str) -> None:
    """Each of the four is required."""
    bad = refusal(written({key: value for key, value in GOOD.items() if key != name}))
    assert (bad.field, bad.reason) == (name, f"{name} is missing")


def test_all_missing_fields_are_told_at_once() -> None:
    """Nobody has to try four times; and one in capital letters is found."""
    assert refusal(b"{}").reason == "width, height, format and fps are missing"
    bad = refusal(written({"Width": 3, "HEIGHT": 2, "format": "png", "fps": 1}))
    assert bad.reason == "width and height are missing (there is 'Width': names are in lower case)"
    assert bad.field == "width"


def test_a_byte_order_mark_is_allowed() -> None:
    """Editors on Windows write one."""
    assert parse_metadata(b"\xef\xbb\xbf" + written(GOOD)) == parse_metadata(written(GOOD))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"[]", "it is an empty list; an object is expected"),
        (b'"width"', "it is 'width';"),
        (b"NaN", "it is NaN;"),
        (b"null", "it is null;"),
        (b'{"width": 320,}', "it is not JSON in line 1, column 15, before }"),
        (b"{'width': 320}", "it is not JSON in line 1, column 2, before 'width': 320}"),
        (b'{"width": 320\n "height": 240}', 'it is not JSON in line 2, column 2, before "height": 240}'),
        (b'{"width": 320', "it is not JSON in line 1, column 14, where it ends too early"),
        (b"{}\0", r"before \x00"),
        (b'{"title": "caf\xe9"}', "it is not UTF-8, see its byte 14; save it as UTF-8"),
        ("{}".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        pytest.param(b" " * (MAX_METADATA + 1), "it has 1048577 bytes; at most 1048576 are taken", id="large"),
        pytest.param(b"[" * 100_000, "too deep", id="deep lists"),
        pytest.param(b'{"a":' * 100_000, "too deep", id="deep objects"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deep", id="deep inside"),
    ],
)
def test_what_cannot_be_read_at_all(data: bytes, words: str) -> None:
    """No field is at fault, and the place is told where there is one."""
    bad = refusal(data)
    assert bad.field is None
    assert words in bad.reason


@pytest.mark.parametrize("text", ['{"fps": 25, "fps": 30}', '{"made": {"fps": 1, "x": 2, "fps": 1}}'])
def test_a_key_that_stands_twice_is_named(text: str) -> None:
    """Readers differ in which one they take, also where nobody looks."""
    bad = refusal(text.encode())
    assert (bad.field, bad.reason) == ("fps", "fps stands twice in one object; once is expected")


def test_the_largest_file_is_read() -> None:
    """A list of names that fills the last byte is taken."""
    empty = written(GOOD | {"frames": ["x"]})
    name = "x" * (MAX_METADATA - len(empty) + 1)
    assert parse_metadata(written(GOOD | {"frames": [name]})).frames == (name,)


@given(
    st.binary() | st.text().map(str.encode) | st.from_regex(r'\{("(width|fps|\w)":[-\d"\[{}\],e.]*,?)*').map(str.encode)
)
def test_no_content_raises_anything_else(data: bytes) -> None:
    """Whatever is in the file, it is refused in our words."""
    assert refusal(data).reason.isprintable()
