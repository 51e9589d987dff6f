"""Digest fields and tus checksums: the vectors, and what must hold for every value."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.digest_fields import (
    CHECKSUM_ALGORITHMS,
    CHECKSUM_SIZES,
    DIGEST_ALGORITHMS,
    DIGEST_SIZES,
    Digests,
    format_digests,
    parse_checksum,
    parse_digests,
    parse_want,
)
from tests.protocol import vector_cases
from tests.protocol.vector_cases import Case

any_lines = st.lists(
    st.text(st.sampled_from(list("sha-256md5crc=:;,()?10 AQ")), max_size=30) | st.text(max_size=20), max_size=3
)


def encode(digest: bytes) -> str:
    """Base64 as the vectors have it."""
    return base64.b64encode(digest).decode()


def read(kind: str, lines: list[str]) -> object:
    """What the lines say, in the notation of the vectors."""
    match kind:
        case "digests":
            digests = parse_digests(lines)
            return digests and [[name, encode(digest)] for name, digest in digests.values]
        case "want":
            return list(parse_want(lines))
        case _:
            algorithm, digest = parse_checksum(lines[0])
            return [algorithm, encode(digest)]


@vector_cases.each("digests.json")
def test_vectors(case: Case) -> None:
    """Each case is read as it says, or refused where it says so."""
    kind, lines = case.input["type"], case.input["lines"]
    if case.error:
        with pytest.raises(ValueError, match=r"digest|algorithm"):
            read(kind, lines)
    else:
        assert read(kind, lines) == case.expect


digest_values = st.lists(st.sampled_from(DIGEST_ALGORITHMS), unique=True, min_size=1).flatmap(
    lambda names: st.tuples(
        *(
            st.tuples(st.just(name), st.binary(min_size=DIGEST_SIZES[name], max_size=DIGEST_SIZES[name]))
            for name in names
        )
    )
)


@given(digest_values)
def test_digests_survive_the_round_trip(values: tuple[tuple[str, bytes], ...]) -> None:
    """What we write into an answer is what we would read from a request."""
    digests = Digests(values=values)
    assert parse_digests([format_digests(digests)]) == digests


@given(st.sampled_from(CHECKSUM_ALGORITHMS), st.binary(max_size=70))
def test_a_checksum_has_its_algorithms_size(algorithm: str, digest: bytes) -> None:
    """A digest of another size can never match, so it is refused before a byte is read."""
    header = f"{algorithm} {encode(digest)}"
    if len(digest) == CHECKSUM_SIZES[algorithm]:
        assert parse_checksum(header) == (algorithm, digest)
    else:
        with pytest.raises(ValueError, match=f"has {CHECKSUM_SIZES[algorithm]} bytes, this one {len(digest)}$"):
            parse_checksum(header)


@given(any_lines)
def test_any_digest_field_is_read_or_refused(lines: list[str]) -> None:
    """Nothing but ValueError comes out, and what is read has the right size."""
    try:
        digests = parse_digests(lines)
    except ValueError:
        return
    assert digests is None or all(len(digest) == DIGEST_SIZES[name] for name, digest in digests.values)


@given(any_lines)
def test_a_want_is_never_refused(lines: list[str]) -> None:
    """A want asks and never obliges."""
    assert set(parse_want(lines)) <= set(DIGEST_ALGORITHMS)


@given(st.text(max_size=40))
def test_any_checksum_is_read_or_refused(header: str) -> None:
    """Nothing but ValueError comes out, and what is read has the right size."""
    try:
        algorithm, digest = parse_checksum(header)
    except ValueError:
        return
    assert len(digest) == CHECKSUM_SIZES[algorithm]


def test_an_unknown_checksum_algorithm_is_answered_with_the_known_ones() -> None:
    """The person on the other side learns what to use instead."""
    with pytest.raises(
        ValueError, match="'sha3' is not known; use one of sha1, sha256, md5, crc32c, crc64nvme, sha512"
    ):
        parse_checksum("sha3 YQ==")


def test_every_checksum_name_can_be_announced() -> None:
    """Names are ASCII without upper case and hold no comma, as their list in a header needs (T18)."""
    assert all(name.isascii() and name.isalnum() and name == name.lower() for name in CHECKSUM_ALGORITHMS)
    assert CHECKSUM_ALGORITHMS[0] == "sha1"
