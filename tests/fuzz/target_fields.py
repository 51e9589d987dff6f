"""Parsers of header values: structured fields, metadata, digests, plain values."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from ferryman_protocol import strict_base64
from ferryman_protocol.digest_fields import (
    CHECKSUM_SIZES,
    DIGEST_SIZES,
    format_digests,
    parse_checksum,
    parse_digests,
    parse_want,
)
from ferryman_protocol.field_values import (
    content_codings,
    content_length,
    disposition_filename,
    http_date,
    media_type,
    whole_number,
)
from ferryman_protocol.headers import Headers
from ferryman_protocol.metadata import parse_metadata
from ferryman_protocol.structured_fields import (
    InnerList,
    Item,
    StructuredFieldError,
    boolean_field,
    integer_field,
    parse_dictionary,
    parse_item,
    parse_list,
    serialise_dictionary,
    serialise_item,
    serialise_list,
)
from tests.fuzz.checks import MAX_DETAIL

T = TypeVar("T")
_LAST: Final = 10**11  # seconds since the epoch: about the year 5138


def lines_of(data: bytes) -> list[str]:
    """The lines of one field: any bytes but line ends, as header fields bring them."""
    return data.decode("latin-1").split("\n")


def check_structured(data: bytes) -> None:
    """What can be read is written in one canonical way, which reads as the same; what cannot be says where."""
    lines = lines_of(data)
    item = _round_trip(lines, parse_item, serialise_item)
    _round_trip(lines, parse_list, serialise_list)
    _round_trip(lines, parse_dictionary, serialise_dictionary)
    headers = Headers(tuple(("field", line) for line in lines))
    value = None if item is None else item.value
    assert boolean_field(headers, "field") is (value if isinstance(value, bool) else None)
    number = value if type(value) is int and value >= 0 else None
    assert integer_field(headers, "field") == number


def _round_trip(lines: Sequence[str], parse: Callable[[Sequence[str]], T], serialise: Callable[[T], str]) -> T | None:
    try:
        value = parse(lines)
    except StructuredFieldError as error:
        _check_words(error)
        _check_position(error, lines)
        return None
    text = serialise(value)
    assert text.isascii(), text
    assert text.isprintable(), text
    again = parse([text])
    assert plain(again) == plain(value), (lines, text)
    assert serialise(again) == text
    return value


def plain(value: object) -> object:
    """A value in which types count: `True` is not 1, and 1.0 is not 1."""
    match value:
        case Item() | InnerList():
            inside: object = value.value if isinstance(value, Item) else value.items
            return type(value).__name__, plain(inside), plain(value.parameters)
        case Mapping():
            return [(key, plain(member)) for key, member in value.items()]
        case list() | tuple():
            return [plain(member) for member in value]
        case Decimal():
            return "Decimal", value.normalize()
        case _:
            return type(value).__name__, value


def _check_position(error: StructuredFieldError, lines: Sequence[str]) -> None:
    assert error.position is not None
    assert 0 <= error.position <= len(", ".join(lines)), error


def check_metadata(data: bytes) -> None:
    """Upload-Metadata has one reading; each value is the one text that stands for its bytes."""
    value = data.decode("latin-1")
    try:
        metadata = parse_metadata(value)
    except ValueError as error:
        _check_words(error)
        assert value, "no metadata is no mistake"
        return
    assert value.isascii()
    pairs = [pair.partition(" ") for pair in value.split(",")] if value else []
    assert [key for key, _, _ in pairs] == list(metadata.values)
    assert all(strict_base64.decode(text) == metadata.values[key] for key, _, text in pairs)
    (metadata.text(*metadata.values) or "").encode("utf-8")
    assert metadata.text("no such key") is None


def check_digests(data: bytes) -> None:
    """Digests have the size of their algorithm, and read as the same when they are written again."""
    lines = lines_of(data)
    digests = _or_words(parse_digests, lines)
    if digests is not None:
        assert all(len(digest) == DIGEST_SIZES[name] for name, digest in digests.values)
        assert parse_digests([format_digests(digests)]) == digests
    wanted = parse_want(lines)
    assert len(set(wanted)) == len(wanted)
    assert set(wanted) <= set(DIGEST_SIZES)
    checksum = _or_words(parse_checksum, lines[0])
    if checksum is not None:
        assert len(checksum[1]) == CHECKSUM_SIZES[checksum[0]]


def check_values(data: bytes) -> None:
    """Plain values are read or are None, and nothing is read leniently."""
    lines = lines_of(data)
    text = lines[0]
    number = whole_number(text)
    assert number is None or (str(number) == text and number < 2**63)
    headers = Headers(
        tuple((name, line.strip(" \t")) for name in ("content-length", "content-encoding") for line in lines)
    )
    length = content_length(headers)
    assert length is None or headers.all("content-length") == (str(length),)
    essence = media_type(text)
    assert essence == media_type(essence)
    for coding in content_codings(headers):
        assert coding == coding.lower()
        assert coding not in ("", "identity", "x-gzip")
    name = disposition_filename(text)
    assert name != ""
    seconds = float(number or 0) % _LAST
    assert datetime.strptime(http_date(seconds), "%a, %d %b %Y %H:%M:%S GMT")


def _or_words(parse: Callable[[Any], T], value: object) -> T | None:
    """What the parser reads, or None when it says in words that it cannot."""
    try:
        return parse(value)
    except ValueError as error:
        _check_words(error)
        return None


def _check_words(error: ValueError) -> None:
    """A ValueError of ours, and none that Python raised by itself: short, printable, for people."""
    assert type(error) in (ValueError, StructuredFieldError), error
    assert str(error).isprintable(), error
    assert len(str(error)) <= MAX_DETAIL, error
