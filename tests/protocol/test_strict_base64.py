"""Strict base64: one text for each value."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol import strict_base64


@given(st.binary(max_size=50))
def test_what_a_conforming_encoder_writes_is_read(value: bytes) -> None:
    """Every value has its one text."""
    assert strict_base64.decode(base64.b64encode(value).decode()) == value


@given(st.text(st.sampled_from(list("AQRg+/=_-\n ")), max_size=12) | st.text(max_size=12))
def test_what_is_read_is_the_only_text_of_its_value(text: str) -> None:
    """No two texts give the same bytes, so nobody can read one of them differently."""
    try:
        value = strict_base64.decode(text)
    except ValueError:
        return
    assert base64.b64encode(value).decode() == text


@pytest.mark.parametrize(
    "text", ["YQ", "YQ=", "Y===", "====", "=YQ=", "YQ==YQ==", "YR==", "YWJ=", "YW\n=", "_-Ah", " YQ=="]
)
def test_other_texts_are_refused(text: str) -> None:
    """Missing or misplaced padding, set pad bits, and characters from outside the alphabet."""
    with pytest.raises(ValueError, match="base64"):
        strict_base64.decode(text)
