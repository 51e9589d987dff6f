"""Digests that travel in header fields: those of RFC 9530, and tus `Upload-Checksum`.

RFC 9530: `Content-Digest` covers the bytes of one message as they are sent, `Repr-Digest` those of the whole
representation; both are Dictionaries of Byte Sequences, and algorithms we do not know are passed over. The `Want-`
twins are Dictionaries of Integers: 0 is "not acceptable", 1 the least wanted, 10 the most.

tus: `Upload-Checksum: <algorithm> <base64>` covers the body of one request.

The two vocabularies differ (`sha-256` here is `sha256` there), so each has its own table of names and sizes.
CRCs are in big-endian byte order.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from ferryman_protocol import strict_base64
from ferryman_protocol.frozen import dataclass
from ferryman_protocol.refusals import quoted
from ferryman_protocol.structured_fields import (
    Item,
    Member,
    StructuredFieldError,
    parse_dictionary,
    serialise_dictionary,
)

# RFC 9530 §5 (the registry); md5, sha and crc32c are registered as deprecated, but some clients have nothing else.
DIGEST_SIZES: Final[Mapping[str, int]] = MappingProxyType(
    {"sha-256": 32, "sha-512": 64, "md5": 16, "sha": 20, "crc32c": 4}  # bytes
)
DIGEST_ALGORITHMS: Final = tuple(DIGEST_SIZES)

# "The Server MUST support at least the SHA1 checksum algorithm identified by sha1." (tus 1.0.0, Checksum)
CHECKSUM_SIZES: Final[Mapping[str, int]] = MappingProxyType(
    {"sha1": 20, "sha256": 32, "md5": 16, "crc32c": 4, "crc64nvme": 8, "sha512": 64}  # bytes
)
CHECKSUM_ALGORITHMS: Final = tuple(CHECKSUM_SIZES)

_MOST_WANTED: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Digests:
    """Digests that a message or a representation must have: (algorithm, digest) pairs we can check, in order."""

    values: tuple[tuple[str, bytes], ...]


def parse_digests(lines: Sequence[str]) -> Digests | None:
    """Read `Content-Digest` or `Repr-Digest`; None when it holds no digest we can check, or is absent.

    Raises ValueError for a malformed field, and for a known algorithm whose value cannot be its digest.
    """
    try:
        members = parse_dictionary(lines)
    except StructuredFieldError as error:
        raise ValueError(f"not a dictionary of digests such as sha-256=:…: ({error})") from error
    values = tuple((name, _digest(name, member)) for name, member in members.items() if name in DIGEST_SIZES)
    return Digests(values=values) if values else None


def parse_want(lines: Sequence[str]) -> tuple[str, ...]:
    """Read `Want-Content-Digest` or `Want-Repr-Digest`: the algorithms we know, the most wanted first.

    A want asks and never obliges: a malformed field counts as absent, a malformed preference leaves its member out.
    """
    if not lines:
        return ()
    try:
        members = parse_dictionary(lines)
    except StructuredFieldError:
        return ()
    wants = {name: _preference(member) for name, member in members.items() if name in DIGEST_SIZES}
    # sorted() is stable: equally wanted algorithms stay in the client's order.
    return tuple(sorted((name for name in wants if wants[name]), key=lambda name: -wants[name]))


def format_digests(digests: Digests) -> str:
    """Write the value of a `Content-Digest` or `Repr-Digest` field."""
    return serialise_dictionary({name: Item(digest) for name, digest in digests.values})


def parse_checksum(value: str) -> tuple[str, bytes]:
    """Read `Upload-Checksum` into (algorithm, digest). Raises ValueError saying what is wrong.

    Names compare exactly: they "MUST only consist of ASCII characters with the modification that uppercase characters
    are excluded" (tus 1.0.0, Checksum).
    """
    algorithm, _, encoded = value.partition(" ")
    if algorithm not in CHECKSUM_SIZES:
        known = ", ".join(CHECKSUM_ALGORITHMS)
        raise ValueError(f"Upload-Checksum: the algorithm {quoted(algorithm)} is not known; use one of {known}")
    try:
        digest = strict_base64.decode(encoded)
    except ValueError as error:
        raise ValueError(f"Upload-Checksum: the digest after `{algorithm}` and one space: {error}") from None
    if len(digest) != CHECKSUM_SIZES[algorithm]:
        raise ValueError(
            f"Upload-Checksum: a digest of {algorithm} has {CHECKSUM_SIZES[algorithm]} bytes, this one {len(digest)}"
        )
    return algorithm, digest


def _digest(name: str, member: Member) -> bytes:
    digest = member.value if isinstance(member, Item) else None
    if not isinstance(digest, bytes):
        raise ValueError(f"the digest {name} is not base64 between colons, as in {name}=:…:")
    if len(digest) != DIGEST_SIZES[name]:
        raise ValueError(f"a digest of {name} has {DIGEST_SIZES[name]} bytes, this one {len(digest)}")
    return digest


def _preference(member: Member) -> int:
    """How much an algorithm is wanted; 0, which is "not acceptable", also for what is no preference."""
    value = member.value if isinstance(member, Item) else None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_WANTED:
        return 0
    return value
