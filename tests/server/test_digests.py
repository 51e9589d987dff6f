"""Running digests: known answers, continuation, combination, and verification of several at once."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.commands import Checksum
from ferryman_protocol.digest_fields import (
    CHECKSUM_ALGORITHMS,
    CHECKSUM_SIZES,
    DIGEST_ALGORITHMS,
    DIGEST_SIZES,
    Digests,
)
from ferryman_server.digests import Crc64, Verifier, combine, new_hash

CHECK_INPUT: Final = b"123456789"  # what the catalogue of CRC algorithms gives its check values for


def crc64(data: bytes) -> int:
    """The CRC64/NVME of `data`."""
    crc = Crc64()
    crc.update(memoryview(data))
    return crc.value


def digest(algorithm: str, data: bytes) -> bytes:
    """The digest of `data` as ours computes it."""
    running = new_hash(algorithm)
    running.update(memoryview(data))
    return running.digest()


def test_crc_check_values() -> None:
    """Both CRCs give the check values of the catalogue of CRC algorithms, big-endian as digests."""
    assert crc64(CHECK_INPUT) == 0xAE8B14860A799888
    assert digest("crc64nvme", CHECK_INPUT) == bytes.fromhex("ae8b14860a799888")
    assert digest("crc32c", CHECK_INPUT) == bytes.fromhex("e3069283")


@pytest.mark.parametrize(
    ("names", "theirs"),
    [
        (("sha1", "sha"), hashlib.sha1),
        (("sha256", "sha-256"), hashlib.sha256),
        (("sha512", "sha-512"), hashlib.sha512),
        (("md5",), hashlib.md5),
    ],
)
def test_both_vocabularies_name_the_same_hashes(
    names: Sequence[str], theirs: Callable[[bytes], "hashlib._Hash"]
) -> None:
    """The tus name and the RFC 9530 name of a hash give what the standard library gives."""
    for name in names:
        assert digest(name, CHECK_INPUT) == theirs(CHECK_INPUT).digest()


def test_every_algorithm_the_protocol_knows_can_be_computed() -> None:
    """Each name that the protocol reads from a field has a hash here, with the size it expects."""
    for algorithm in DIGEST_ALGORITHMS:
        assert len(digest(algorithm, b"")) == DIGEST_SIZES[algorithm]
    for algorithm in CHECKSUM_ALGORITHMS:
        assert len(digest(algorithm, b"")) == CHECKSUM_SIZES[algorithm]


def test_an_unknown_algorithm_is_named() -> None:
    """The error says which name it was and which there are."""
    with pytest.raises(ValueError, match="'adler32'; known are sha1"):
        new_hash("adler32")


@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_a_crc_goes_on_from_its_value(data: bytes, cut: int) -> None:
    """A CRC that is taken up again from its stored value ends where an uninterrupted one does."""
    resumed = Crc64(crc64(data[:cut]))
    resumed.update(memoryview(data)[cut:])
    assert resumed.value == crc64(data)


@given(a=st.binary(max_size=300), b=st.binary(max_size=300))
def test_crcs_combine(a: bytes, b: bytes) -> None:
    """The CRC of two parts follows from theirs and the length of the second."""
    assert combine(crc64(a), crc64(b), len(b)) == crc64(a + b)


@given(data=st.binary(max_size=300), cut=st.integers(0, 300), algorithm=st.sampled_from(CHECKSUM_ALGORITHMS))
def test_pieces_do_not_matter(data: bytes, cut: int, algorithm: str) -> None:
    """A digest depends on the bytes, not on how they came, and may be asked for in between."""
    running = new_hash(algorithm)
    running.update(memoryview(data)[:cut])
    running.digest()
    running.update(memoryview(data)[cut:])
    assert running.digest() == digest(algorithm, data)


def test_nothing_to_verify_is_no_verifier() -> None:
    """Without a checksum and without digests there is nothing to run."""
    assert Verifier.of(None, None) is None
    assert Verifier.of(None, Digests(values=())) is None


@given(
    data=st.binary(max_size=200),
    algorithms=st.lists(st.sampled_from(DIGEST_ALGORITHMS), min_size=1, unique=True),
    wrong=st.none() | st.integers(0),
)
def test_the_first_digest_that_differs_is_named(data: bytes, algorithms: list[str], wrong: int | None) -> None:
    """All of several digests must match; the first that does not is named."""
    values = [(name, digest(name, data)) for name in algorithms]
    if wrong is not None:
        place = wrong % len(values)
        name, right = values[place]
        values[place] = (name, bytes([right[0] ^ 1]) + right[1:])
    verifier = Verifier.of(None, Digests(values=tuple(values)))
    assert verifier is not None
    for start in range(0, len(data), 7):
        verifier.update(memoryview(data)[start : start + 7])
    assert verifier.mismatch() == (None if wrong is None else algorithms[wrong % len(algorithms)])


def test_a_checksum_is_compared_before_the_digests() -> None:
    """When both differ, the tus checksum is the one that is named."""
    wrong = Digests(values=(("md5", bytes(16)),))
    verifier = Verifier.of(Checksum(algorithm="sha1", digest=bytes(20)), wrong)
    assert verifier is not None
    verifier.update(memoryview(b"data"))
    assert verifier.mismatch() == "sha1"


@pytest.mark.parametrize("algorithm", CHECKSUM_ALGORITHMS)
def test_a_checksum_from_the_trailer_may_name_any_algorithm(algorithm: str) -> None:
    """While the trailer is awaited every announced algorithm runs, and the one it names is compared."""
    for right, expected in ((digest(algorithm, b"data"), None), (bytes(CHECKSUM_SIZES[algorithm]), algorithm)):
        verifier = Verifier.of(Checksum(algorithm="", digest=None), None)
        assert verifier is not None
        verifier.update(memoryview(b"data"))
        verifier.expect(Checksum(algorithm=algorithm, digest=right))
        assert verifier.mismatch() == expected


def test_an_awaited_checksum_never_passes_unseen() -> None:
    """Without the trailer's checksum, or with one that cannot be compared, there is no verdict."""
    verifier = Verifier.of(Checksum(algorithm="", digest=None), None)
    assert verifier is not None
    for unusable in (Checksum(algorithm="sha1", digest=None), Checksum(algorithm="adler32", digest=b"1234")):
        with pytest.raises(ValueError, match="cannot be compared"):
            verifier.expect(unusable)
    with pytest.raises(ValueError, match="has not been handed over"):
        verifier.mismatch()
