"""Structured fields: the vectors, and what must hold for every text and every value."""

import base64
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferryman_protocol.headers import Headers
from ferryman_protocol.structured_fields import (
    BareItem,
    Date,
    DisplayString,
    InnerList,
    Item,
    Member,
    StructuredFieldError,
    Token,
    boolean_field,
    integer_field,
    parse_dictionary,
    parse_item,
    parse_list,
    serialise_dictionary,
    serialise_item,
    serialise_list,
)
from tests.protocol import vector_cases
from tests.protocol.vector_cases import Case

FIELD = "upload-field"


def headers(lines: list[str]) -> Headers:
    """Header fields holding these lines of one field."""
    return Headers(tuple((FIELD, line) for line in lines))


def bare_as_json(value: BareItem) -> object:
    """A bare value in the notation of the vectors; Decimals without trailing zeros."""
    match value:
        case Decimal():
            return {"decimal": format(value.normalize() if value else Decimal(0), "f")}
        case Token():
            return {"token": value.text}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case Date():
            return {"date": value.seconds}
        case DisplayString():
            return {"display": value.text}
        case _:
            return value


def member_as_json(member: Member) -> dict[str, object]:
    """An Item or Inner List in the notation of the vectors."""
    written: dict[str, object] = (
        {"items": [member_as_json(item) for item in member.items]}
        if isinstance(member, InnerList)
        else {"value": bare_as_json(member.value)}
    )
    if member.parameters:
        written["parameters"] = [[key, bare_as_json(value)] for key, value in member.parameters.items()]
    return written


def read(kind: str, lines: list[str]) -> tuple[object, str | None]:
    """What the lines say, in the notation of the vectors, and how it is written back (None: it is not)."""
    match kind:
        case "item":
            item = parse_item(lines)
            return member_as_json(item), serialise_item(item)
        case "list":
            members = parse_list(lines)
            return [member_as_json(member) for member in members], serialise_list(members)
        case "dictionary":
            entries = parse_dictionary(lines)
            return [[key, member_as_json(member)] for key, member in entries.items()], serialise_dictionary(entries)
        case "integer-field":
            return integer_field(headers(lines), FIELD), None
        case _:
            return boolean_field(headers(lines), FIELD), None


def same(left: Any, right: Any) -> bool:
    """Equality that keeps `true` and `1` apart."""
    return repr(left) == repr(right)


@vector_cases.each("structured-fields.json")
def test_vectors(case: Case) -> None:
    """Each case is read as it says, refused where it says so, and written back in canonical form."""
    kind, lines = case.input["type"], case.input["lines"]
    if case.error:
        with pytest.raises(StructuredFieldError):
            read(kind, lines)
        return
    found, written = read(kind, lines)
    assert same(found, case.expect), found
    assert written in (None, ", ".join(lines) if case.canonical is None else case.canonical)


keys = st.from_regex(r"\A[a-z*][a-z0-9_\-.*]{0,8}\Z")
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
integers = st.integers(-999_999_999_999_999, 999_999_999_999_999)
bare_items: st.SearchStrategy[BareItem] = st.one_of(
    integers,
    st.decimals(-999_999_999_999, 999_999_999_999, places=3),
    printable,
    st.from_regex(r"\A[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]{0,10}\Z").map(Token),
    st.binary(max_size=20),
    st.booleans(),
    integers.map(Date),
    st.text(st.characters(codec="utf-8"), max_size=20).map(DisplayString),
)
parameters = st.dictionaries(keys, bare_items, max_size=3)
items = st.builds(Item, bare_items, parameters)
members: st.SearchStrategy[Member] = items | st.builds(InnerList, st.lists(items, max_size=3).map(tuple), parameters)
near_misses = st.text(st.sampled_from(list('a1A-.,;=()"\\:?@%* \t0fé')), max_size=30)


@given(items)
def test_an_item_survives_the_round_trip(item: Item) -> None:
    """What is written is read back as the same value of the same type."""
    assert same(member_as_json(parse_item([serialise_item(item)])), member_as_json(item))


@given(st.lists(members, max_size=4))
def test_a_list_survives_the_round_trip(written: list[Member]) -> None:
    """What is written is read back the same, members in order."""
    found = parse_list([serialise_list(written)])
    assert same([member_as_json(member) for member in found], [member_as_json(member) for member in written])


@given(st.dictionaries(keys, members, max_size=4))
def test_a_dictionary_survives_the_round_trip(written: dict[str, Member]) -> None:
    """What is written is read back the same, keys in order."""
    found = parse_dictionary([serialise_dictionary(written)])
    assert list(found) == list(written)
    assert same([*map(member_as_json, found.values())], [*map(member_as_json, written.values())])


@given(st.lists(near_misses | st.text(max_size=20), max_size=3))
@example(['"'])
@example(["@-"])
@example(["1;"])
def test_reading_raises_nothing_but_its_own_error(lines: list[str]) -> None:
    """Any text at all is read or refused, and the refusal names a byte within the field."""
    end = len(", ".join(lines))
    for parse in (parse_item, parse_list, parse_dictionary):
        position: int | None = 0
        try:
            parse(lines)
        except StructuredFieldError as error:
            position = error.position
        assert position is not None
        assert 0 <= position <= end


@given(near_misses)
def test_what_is_read_can_be_written_and_read_again(line: str) -> None:
    """Reading tolerates more than writing produces, but the value stays the same."""
    try:
        found = parse_list([line])
    except StructuredFieldError:
        return
    assert parse_list([serialise_list(found)]) == found


@given(st.lists(near_misses, max_size=2))
def test_the_field_helpers_never_raise(lines: list[str]) -> None:
    """A bad value voids the field and nothing more (R1)."""
    number = integer_field(headers(lines), FIELD)
    assert number is None or (type(number) is int and number >= 0)
    assert boolean_field(headers(lines), FIELD) in (None, True, False)


@pytest.mark.parametrize(
    ("line", "position"), [("", 0), ("  +1", 2), ("1;A=1", 2), ("1 x", 2), ("(1", 0), ("@1.5", 0), ('"é"', 0)]
)
def test_the_error_names_the_byte(line: str, position: int) -> None:
    """The position is where the value that cannot be read begins, or where something else should stand."""
    with pytest.raises(StructuredFieldError, match=rf"^byte {position}: ") as caught:
        parse_item([line])
    assert caught.value.position == position


@pytest.mark.parametrize(
    "value",
    [
        10**15,
        -(10**15),
        Decimal(10**12),
        Decimal("999999999999.9995"),
        Decimal("NaN"),
        Decimal("Infinity"),
        "é",
        "a\n",
        Token(""),
        Token("a b"),
        Token("1a"),
        Token("a\n"),
        Date(10**15),
        DisplayString("\ud800"),
    ],
    ids=repr,
)
def test_a_value_without_a_form_is_not_written(value: BareItem) -> None:
    """Nothing leaves that a strict parser would refuse; the error has no position, for there is no text."""
    with pytest.raises(StructuredFieldError) as caught:
        serialise_item(Item(value))
    assert caught.value.position is None


@pytest.mark.parametrize("key", ["", "A", "1a", "a b", "é", "a\n"])
def test_a_bad_key_is_not_written(key: str) -> None:
    """Keys are checked in dictionaries and parameters alike."""
    with pytest.raises(StructuredFieldError):
        serialise_dictionary({key: Item(1)})
    with pytest.raises(StructuredFieldError):
        serialise_item(Item(1, {key: True}))


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.0015", "0.002"), ("0.0025", "0.002"), ("9.9995", "10.0"), ("-0.0001", "0.0"), ("1E+2", "100.0")],
)
def test_decimals_are_rounded_half_to_even(value: str, text: str) -> None:
    """Three digits stay behind the point; the last one is rounded as RFC 9651 §4.1.5 says."""
    assert serialise_item(Item(Decimal(value))) == text
