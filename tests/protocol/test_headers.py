"""Header fields are found by name, whatever the order, the case and the number of lines."""

from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.headers import Headers

NAMES = ("host", "upload-offset", "x")
fields = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(("", "1", "a, b"))), max_size=6).map(tuple)


@given(fields)
def test_every_line_of_a_field_is_found_in_order(lines: tuple[tuple[str, str], ...]) -> None:
    """By each way of asking; what is not there is empty."""
    headers = Headers(lines)
    assert tuple(headers) == lines
    for name in NAMES:
        values = tuple(value for key, value in lines if key == name)
        assert headers.all(name) == values
        assert (name in headers) == bool(values)
        assert headers.joined(name) == (", ".join(values) if values else None)
    assert headers.repeated == (len({name for name, _ in lines}) < len(lines))


@given(fields, fields)
def test_equal_fields_make_equal_headers(one: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]) -> None:
    """Order counts; they can be keys."""
    assert (Headers(one) == Headers(other)) == (one == other)
    assert hash(Headers(one)) == hash(Headers(tuple(one)))


def test_raw_fields_are_lower_cased_and_trimmed() -> None:
    """RFC 9110 §5.1 and §5.5; other bytes are kept as latin-1."""
    raw = [(b"Upload-Offset", b" 5\t"), (b"X", b"gr\xf6\xdfe"), (b"x", b"\xa0")]
    assert tuple(Headers.from_raw(raw)) == (("upload-offset", "5"), ("x", "größe"), ("x", "\xa0"))
    assert Headers.from_raw(iter(raw)).all("x") == ("größe", "\xa0")
