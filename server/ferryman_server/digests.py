"""Running digests: the CRC64/NVME of every upload, and the hashes that clients ask for.

A CRC is a number that can be continued from its value and combined with that of the bytes that follow, so its state is
the value itself and lives in the upload's row. The other hashes cannot be stored half-way: they cover one request, or
read the bytes again. CRCs as digests are in big-endian byte order (RFC 9530 §5, and S3's own checksums).

Both vocabularies are understood: tus says `sha1`, `sha256`; RFC 9530 says `sha`, `sha-256`.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from awscrt import checksums

from ferryman_protocol.commands import Checksum
from ferryman_protocol.digest_fields import CHECKSUM_ALGORITHMS, Digests


class Hash(Protocol):
    """A digest in the making."""

    def update(self, piece: memoryview, /) -> None:
        """Take the next bytes."""

    def digest(self) -> bytes:
        """The digest of all bytes so far; more may follow."""


class Crc64:
    """A running CRC64/NVME."""

    def __init__(self, value: int = 0) -> None:
        self.value = value  # of the bytes so far; pass it in to go on from there

    def update(self, piece: memoryview, /) -> None:
        """Take the next bytes."""
        self.value = checksums.crc64nvme(piece, self.value)

    def digest(self) -> bytes:
        """The value as eight bytes, big-endian."""
        return self.value.to_bytes(8, "big")


def crc64(chunks: Iterable[bytes | memoryview]) -> int:
    """The CRC64/NVME of a whole content in pieces."""
    running = Crc64()
    for chunk in chunks:
        running.update(memoryview(chunk))
    return running.value


class Crc32C:
    """A running CRC-32C (Castagnoli)."""

    def __init__(self, value: int = 0) -> None:
        self.value = value  # of the bytes so far; pass it in to go on from there

    def update(self, piece: memoryview, /) -> None:
        """Take the next bytes."""
        self.value = checksums.crc32c(piece, self.value)

    def digest(self) -> bytes:
        """The value as four bytes, big-endian."""
        return self.value.to_bytes(4, "big")


def combine(crc_a: int, crc_b: int, len_b: int) -> int:
    """The CRC64/NVME of A followed by B, from that of each and the length of B in bytes."""
    combined: int = checksums.combine_crc64nvme(crc_a, crc_b, len_b)
    return combined


def combine_crc32c(crc_a: int, crc_b: int, len_b: int) -> int:
    """The same for CRC-32C."""
    combined: int = checksums.combine_crc32c(crc_a, crc_b, len_b)
    return combined


def _sha1() -> Hash:
    # Neither SHA-1 nor MD5 guards against malice here; said so, they also run where policy forbids them.
    return hashlib.sha1(usedforsecurity=False)


def _md5() -> Hash:
    return hashlib.md5(usedforsecurity=False)


_MAKERS: Final[Mapping[str, Callable[[], Hash]]] = {
    "sha1": _sha1,
    "sha": _sha1,
    "sha256": hashlib.sha256,
    "sha-256": hashlib.sha256,
    "sha512": hashlib.sha512,
    "sha-512": hashlib.sha512,
    "md5": _md5,
    "crc32c": Crc32C,
    "crc64nvme": Crc64,
}


def new_hash(algorithm: str) -> Hash:
    """A new running digest by its tus or RFC 9530 name. Raises ValueError for a name that is neither."""
    try:
        return _MAKERS[algorithm]()
    except KeyError:
        raise ValueError(f"no digest algorithm is called {algorithm!r}; known are {', '.join(_MAKERS)}") from None


class Verifier:
    """Several digests of the same bytes at once, held against what they should be."""

    def __init__(self, expected: Sequence[tuple[str, bytes]], candidates: Sequence[str] = ()) -> None:
        """`candidates`: algorithms to run because one of them will be named at the end (see :meth:`expect`)."""
        self._expected = list(expected)
        self._hashes = {algorithm: new_hash(algorithm) for algorithm in (*dict(expected), *candidates)}
        self._awaited = bool(candidates)

    @classmethod
    def of(cls, checksum: Checksum | None, digests: Digests | None) -> "Verifier | None":
        """A verifier for what a request says about its body; None when it says nothing.

        A tus checksum that comes in the trailer may name any of the announced algorithms, so all of them run.
        """
        expected = list(digests.values) if digests is not None else []
        candidates: tuple[str, ...] = ()
        if checksum is not None and checksum.digest is not None:
            expected.insert(0, (checksum.algorithm, checksum.digest))
        elif checksum is not None:
            candidates = CHECKSUM_ALGORITHMS
        return cls(expected, candidates) if expected or candidates else None

    def update(self, piece: memoryview) -> None:
        """Take the next bytes."""
        for running in self._hashes.values():
            running.update(piece)

    def expect(self, checksum: Checksum) -> None:
        """Take the checksum that came in the trailer; to be called before :meth:`mismatch` when one was announced.

        Raises ValueError when it has no digest or its algorithm is not a running one.
        """
        if checksum.digest is None or checksum.algorithm not in self._hashes:
            raise ValueError(f"the trailer's {checksum.algorithm!r} checksum cannot be compared")
        self._expected.insert(0, (checksum.algorithm, checksum.digest))
        self._awaited = False

    def mismatch(self) -> str | None:
        """The first algorithm whose digest differs, or None: all match. A tus checksum comes before the others.

        Raises ValueError when the trailer's checksum is still awaited: unchecked bytes never pass as checked.
        """
        if self._awaited:
            raise ValueError("the checksum announced for the trailer has not been handed over")
        for algorithm, digest in self._expected:
            if self._hashes[algorithm].digest() != digest:
                return algorithm
        return None
