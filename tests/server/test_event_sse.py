"""Events as bytes: whatever they carry comes back whole, by the rules of HTML's event streams."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server import sse
from tests.support.listening import Heard, Reader

_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    told=st.lists(
        st.tuples(
            st.sampled_from(["created", "frame"]),
            st.dictionaries(st.text(), _values),
            st.none() | st.integers(1, 2**53 - 1),
        )
    ),
    cuts=st.lists(st.integers(0, 400)),
)
def test_any_data_come_back_however_the_stream_is_cut(
    told: list[tuple[str, dict[str, Any], int | None]], cuts: list[int]
) -> None:
    """Names with line ends, with colons, with characters of any script: they end no line and no event."""
    stream = sse.RETRY + b"".join(sse.block(name, sse.encoded(data), seq) for name, data, seq in told) + sse.STILL_HERE
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = Reader()
    heard = [event for start, stop in pairwise(places) for event in reader.feed(stream[start:stop])]
    assert heard == [Heard(name, json.loads(json.dumps(data)), seq) for name, data, seq in told]
    assert (reader.retry, reader.comments) == (2000, ["still here"])


@pytest.mark.parametrize(
    "text", ["\n", "\r", "\r\n\r\nevent: reset\ndata: {}\n\n", "\u2028", "\u2029", "\ufeff", "\ud800", "ß"]
)
def test_only_printable_ascii_is_sent(text: str) -> None:
    """So no proxy, no terminal and no decoder can see a line where there is none."""
    block = sse.block("created", sse.encoded({"name": text}), 7)
    assert block.startswith(b"id: 7\nevent: created\ndata: ")
    assert block.count(b"\n") == 4
    assert set(block) <= {10, *range(32, 127)}


@pytest.mark.parametrize("data", [{"x": float("nan")}, {"x": float("inf")}, {"x": b"bytes"}, {"x": object()}])
def test_what_json_has_not_is_refused(data: dict[str, Any]) -> None:
    """A browser could not read it."""
    with pytest.raises((TypeError, ValueError)):
        sse.encoded(data)


@given(st.integers(0, 2**53))
def test_a_number_is_read(number: int) -> None:
    """As it was sent."""
    assert sse.read_id(str(number)) == number


@pytest.mark.parametrize(
    "text", [None, "", " ", "-1", "+1", "1.0", "1e3", "0x10", "\u0661", "²", "1 2", "a", "9" * 17, "9" * 5000]
)
def test_what_is_no_number_of_ours_is_none(text: str | None) -> None:
    """Also digits of other scripts, and numbers that take long to read."""
    assert sse.read_id(text) is None
