"""The checksums of bytes in S3: ours, and the one that the S3 server is told.

Every upload has a CRC64/NVME for good. With its bytes goes a checksum that the S3 server compares with what arrives,
and keeps for the whole object. It may be that one, or a CRC-32C, which costs a server less: MinIO computes CRC-32C in
hardware, and CRC64/NVME by tables, a fifth of its time.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from ferryman_server.digests import Crc32C, Crc64, combine, combine_crc32c


@dataclass(frozen=True, slots=True)
class Sums:
    """Both checksums of the same bytes."""

    crc64: int = 0
    crc32c: int = 0

    def then(self, other: "Sums", size: int) -> "Sums":
        """Those of these bytes and, behind them, `size` others."""
        return Sums(combine(self.crc64, other.crc64, size), combine_crc32c(self.crc32c, other.crc32c, size))


class RunningSums:
    """The checksums of bytes that come one after the other."""

    def __init__(self) -> None:
        self._crc64 = Crc64()
        self._crc32c = Crc32C()

    def update(self, piece: memoryview, /) -> None:
        """Take the next bytes."""
        self._crc64.update(piece)
        self._crc32c.update(piece)

    @property
    def value(self) -> Sums:
        """Those of the bytes so far."""
        return Sums(self._crc64.value, self._crc32c.value)


def summed(chunks: Iterable[bytes | memoryview]) -> Sums:
    """The checksums of a whole content in pieces."""
    running = RunningSums()
    for chunk in chunks:
        running.update(memoryview(chunk))
    return running.value


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One of them, as S3 speaks of it (S3, "Checking object integrity")."""

    name: str  # in a request that creates a multipart upload
    title: str  # for people
    size: int  # bytes
    which: Literal["crc64", "crc32c"]

    @property
    def field(self) -> str:
        """The header field of its value."""
        return f"x-amz-checksum-{self.name.lower()}"

    @property
    def element(self) -> str:
        """The XML element of its value."""
        return f"Checksum{self.name}"

    def text(self, sums: Sums) -> str:
        """Its value as S3 writes it: base64 of its bytes, big-endian."""
        value: int = getattr(sums, self.which)
        return base64.b64encode(value.to_bytes(self.size, "big")).decode()

    def value(self, text: str) -> int:
        """What S3 has written."""
        return int.from_bytes(base64.b64decode(text), "big")


CRC64NVME: Final = Algorithm("CRC64NVME", "CRC64/NVME", 8, "crc64")
CRC32C: Final = Algorithm("CRC32C", "CRC-32C", 4, "crc32c")
ALGORITHMS: Final = {algorithm.name: algorithm for algorithm in (CRC32C, CRC64NVME)}
