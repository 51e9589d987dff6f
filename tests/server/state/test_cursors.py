"""The listing's cursors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.state.cursors import from_cursor, to_cursor


@given(created_at=st.floats(allow_nan=False, allow_infinity=False), upload_id=st.text())
def test_cursor_gives_its_key_back(created_at: float, upload_id: str) -> None:
    """A key survives exactly, to the last bit of its time."""
    cursor = to_cursor((created_at, upload_id))
    assert from_cursor(cursor) == (created_at, upload_id)
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(cursor=st.text())
def test_any_other_text_is_a_value_error(cursor: str) -> None:
    """What clients send back changed is refused, never another exception and never another page."""
    try:
        key = from_cursor(cursor)
    except ValueError as error:
        assert "cursor" in str(error)  # noqa: PT017  # the other outcome is checked below
    else:
        assert to_cursor(key) == cursor


@pytest.mark.parametrize("text", ["bmFufGE", "aW5mfGE", "MS4wMHxh", "MS4w"])
def test_only_our_own_form_is_a_cursor(text: str) -> None:
    """No nan, no infinity, no second spelling of a number, no missing id."""
    with pytest.raises(ValueError, match="cursor"):
        from_cursor(text)
