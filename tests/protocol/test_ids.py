"""Upload ids: their form, and that nothing else is one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.ids import is_id, new_id


@given(st.binary(min_size=16, max_size=16))
def test_an_id_keeps_every_bit(entropy: bytes) -> None:
    """128 bits make 26 characters, from which they can be read back: two ids differ when their entropy does."""
    made = new_id(entropy)
    assert is_id(made)
    assert base64.b32decode(made.upper() + "======") == entropy


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_an_id_needs_exactly_sixteen_bytes(size: int) -> None:
    """Less would be guessable, more would be thrown away."""
    with pytest.raises(ValueError, match=f"16 random bytes, not of {size}"):
        new_id(bytes(size))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 25,
        "a" * 27,
        "A" * 26,
        "a" * 25 + "1",
        "a" * 25 + "8",
        "a" * 25 + "/",
        "a" * 25 + ".",
        "a" * 25 + "\n",
        "a" * 26 + "\n",
        "a" * 25 + "\x00",
        "../" + "a" * 23,
        "%2f" + "a" * 23,
        "а" * 26,  # noqa: RUF001 - a Cyrillic letter that looks like an a
        "a" * 5000,
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_anything_else_is_no_id(text: str) -> None:
    """Dots, slashes, NUL, line breaks, capitals, other alphabets and other lengths name no upload."""
    assert not is_id(text)
