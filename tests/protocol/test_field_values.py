"""Plain header values: the vectors, and what must hold for every text."""

import calendar
from email.utils import formatdate, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.field_values import (
    content_codings,
    content_length,
    disposition_filename,
    http_date,
    media_type,
    whole_number,
)
from ferryman_protocol.headers import Headers
from tests.protocol import vector_cases
from tests.protocol.vector_cases import Case


@vector_cases.each("numbers.json")
def test_number_vectors(case: Case) -> None:
    """Each number is read as it says."""
    if case.input["type"] == "whole-number":
        number = whole_number(case.input["text"])
    else:
        number = content_length(Headers(tuple(("content-length", line) for line in case.input["lines"])))
    assert number == (None if case.expect is None else int(case.expect))


@vector_cases.each("dispositions.json")
def test_disposition_vectors(case: Case) -> None:
    """Each file name is read as it says."""
    assert disposition_filename(case.input) == case.expect


@given(st.integers(0, 2**63 - 1))
def test_every_size_is_read(number: int) -> None:
    """Each number that fits has exactly one text, and that text is read."""
    assert whole_number(str(number)) == number


@given(st.text(st.sampled_from(list("0123456789+-_. \u0665")), max_size=22) | st.text(max_size=20))
def test_a_number_has_one_text_only(text: str) -> None:
    """What is read is written back letter by letter."""
    number = whole_number(text)
    assert number is None or str(number) == text


@given(st.text(st.sampled_from(list("filename*=utf-8'%E9\"\\; \té\n")), max_size=60) | st.text(max_size=60))
def test_a_disposition_never_raises(value: str) -> None:
    """Whatever a client sends, there is a name or there is none."""
    for text in (value, f"attachment; filename={value}", f"attachment; filename*=UTF-8''{value}"):
        assert disposition_filename(text) != ""


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_an_extended_name_carries_any_text(name: str) -> None:
    """Percent-encoded UTF-8 comes out as it went in."""
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    assert disposition_filename(f"attachment; filename*=UTF-8''{encoded}") == name


@given(st.text(st.characters(min_codepoint=1, max_codepoint=0x7E), min_size=1, max_size=20))
def test_a_quoted_name_carries_any_ascii(name: str) -> None:
    """Quotes and backslashes are escaped by a backslash; everything else stands for itself."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert disposition_filename(f'attachment; filename="{quoted}"') == name


def test_a_long_hostile_disposition_is_read_at_once() -> None:
    """Reading takes one pass: runs of blanks, semicolons and backslashes cost no more than other text."""
    for text in (" " * 50_000, ";" * 50_000, "\\" * 50_000, '"' * 50_000, ";a" * 25_000, "%4" * 25_000):
        disposition_filename(f'attachment; filename="x{text}')
        disposition_filename(f"attachment;{text}; filename*=UTF-8''{text}=")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("application/offset+octet-stream", "application/offset+octet-stream"),
        ("Application/Partial-Upload", "application/partial-upload"),
        (' text/plain\t; charset="a;b"', "text/plain"),
        ("", ""),
        (";", ""),
    ],
)
def test_media_types_compare_without_case_and_parameters(value: str, expected: str) -> None:
    """Only `type/subtype` decides what a body is."""
    assert media_type(value) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ()),
        ([""], ()),
        (["gzip"], ("gzip",)),
        (["X-GZip"], ("gzip",)),
        (["identity"], ()),
        (["gzip , identity,\tZSTD"], ("gzip", "zstd")),
        (["gzip", "br"], ("gzip", "br")),
        (["gzip,,gzip"], ("gzip", "gzip")),
    ],
)
def test_codings_are_listed_in_order(lines: list[str], expected: tuple[str, ...]) -> None:
    """Lines are joined, names lower-cased, `x-gzip` is gzip, identity and empty elements are nothing."""
    assert content_codings(Headers(tuple(("content-encoding", line) for line in lines))) == expected


def test_an_http_date_is_an_imf_fixdate() -> None:
    """The example of RFC 9110 §5.6.7; fractions are rounded down, also before the epoch."""
    assert http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(784111777.999) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert http_date(-0.5) == "Wed, 31 Dec 1969 23:59:59 GMT"


@given(st.integers(0, 253_402_300_799))
def test_an_http_date_is_what_the_standard_library_writes(seconds: int) -> None:
    """Every second up to the end of the year 9999, written and read back."""
    text = http_date(seconds)
    assert text == formatdate(seconds, usegmt=True)
    assert calendar.timegm(parsedate_to_datetime(text).utctimetuple()) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1e300, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (float("inf"), "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-1e300, "Mon, 01 Jan 0001 00:00:00 GMT"),
    ],
)
def test_times_beyond_four_digit_years_stop_at_the_end(seconds: float, text: str) -> None:
    """An expiry set absurdly far away is still a date and no failure."""
    assert http_date(seconds) == text
