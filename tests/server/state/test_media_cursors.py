"""The cursors of the listing of media."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.state.media import Sort
from ferryman_server.state.media_cursors import Value, from_cursor, to_cursor

_numbers = st.integers(-(2**63) + 1, 2**63 - 1)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_keys: st.SearchStrategy[tuple[Sort, Value]] = st.one_of(
    st.tuples(st.just("name"), st.text(st.characters(codec="utf-8"))),
    st.tuples(st.sampled_from(["date", "duration"]), _floats),
    st.tuples(st.sampled_from(["size", "rating", "views"]), _numbers),
)


@given(key=_keys, descending=st.booleans(), medium=_numbers)
def test_cursor_gives_its_key_back(key: tuple[Sort, Value], descending: bool, medium: int) -> None:
    """A key survives exactly, and its cursor is of one order only."""
    sort, value = key
    cursor = to_cursor(sort, descending, (value, medium))
    assert from_cursor(cursor, sort, descending) == (value, medium)
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    with pytest.raises(ValueError, match="cursor"):
        from_cursor(cursor, sort, not descending)
    with pytest.raises(ValueError, match="cursor"):
        from_cursor(cursor, "size" if sort == "views" else "views", descending)


@given(cursor=st.text())
def test_any_other_text_is_a_value_error(cursor: str) -> None:
    """What clients send back changed is refused, never another exception and never another page."""
    with pytest.raises(ValueError, match="cursor"):
        from_cursor(cursor, "name", True)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=5)
)


@given(said=st.tuples(st.just("size") | _JSON, st.just(True) | _JSON, _JSON, _JSON))
def test_what_only_looks_like_a_cursor_is_refused_or_exact(said: tuple[Any, ...]) -> None:
    """A forged one is a ValueError, or the key it says: numbers that a database can hold."""
    cursor = base64.urlsafe_b64encode(json.dumps(list(said), separators=(",", ":")).encode()).decode().rstrip("=")
    try:
        value, medium = from_cursor(cursor, "size", True)
    except ValueError as error:
        assert "cursor" in str(error)  # noqa: PT017  # the other outcome is checked below
    else:
        assert to_cursor("size", True, (value, medium)) == cursor
        assert all(type(number) is int and abs(number) < 2**63 for number in (value, medium))


@pytest.mark.parametrize(
    ("sort", "said"),
    [
        ("name", '["name",true,"\\ud800",1]'),
        ("name", '["name",true,"a",1.0]'),
        ("name", '["name",1,"a",1]'),
        ("name", '["name",true,"a", 1]'),
        ("name", '["name",true,7,1]'),
        ("date", '["date",true,NaN,1]'),
        ("date", '["date",true,7,1]'),
        ("date", '["date",true,1e999,1]'),
        ("size", '["size",true,9223372036854775808,1]'),
        ("size", '["size",true,true,1]'),
        ("size", '["size",true,1,' + "[" * 100_000),
        ("size", '["size",true,' + "1" * 10_000 + ",1]"),
        ("size", '{"size":1,"a":2,"b":3,"c":4}'),
        ("size", '"four"'),
    ],
)
def test_only_our_own_form_is_a_cursor(sort: Sort, said: str) -> None:
    """No second spelling, nothing that a column of this order cannot hold, nothing that breaks a parser."""
    cursor = base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")
    with pytest.raises(ValueError, match="cursor"):
        from_cursor(cursor, sort, True)
