"""Coded bodies for tests: right ones, damaged ones, and bombs."""

import gzip
import zlib
from collections.abc import Callable
from typing import Final

import zstandard

BOMB_SIZE: Final = 1 << 30  # bytes, decoded
_MIB: Final = 1 << 20


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data)


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 1)


CODERS: Final[dict[str, Callable[[bytes], bytes]]] = {"gzip": _gzip, "zstd": _zstd}
CODINGS: Final = tuple(CODERS)


def in_parts(coding: str, data: bytes, number: int = 4) -> bytes:
    """Data as several gzip members or zstd frames behind each other."""
    size = -(-len(data) // number)
    return b"".join(CODERS[coding](data[start : start + size]) for start in range(0, len(data), size))


def _damaged(coded: bytes, at: int) -> bytes:
    position = at % len(coded)
    return coded[:position] + bytes([coded[position] ^ 0xFF]) + coded[position + 1 :]


DAMAGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "in the middle": lambda coded: _damaged(coded, len(coded) // 2),
    "at the beginning": lambda coded: _damaged(coded, 0),
    "in the last byte": lambda coded: _damaged(coded, -1),  # gzip: the size; zstd: the check
    "in the check": lambda coded: _damaged(coded, -8),  # gzip: CRC-32; zstd: the last block
    "without the last byte": lambda coded: coded[:-1],
    "without the second half": lambda coded: coded[: len(coded) // 2],
    "with bytes behind it": lambda coded: coded + b"and so on",
    "with a byte behind it": lambda coded: coded + b"\x01",
    "with zeros behind it": lambda coded: coded + bytes(512),
    "with half a header behind it": lambda coded: coded + coded[:3],
    "with a damaged second part": lambda coded: coded + _damaged(coded, -1),
    "of another coding in its second part": lambda coded: coded + (_gzip if coded[:1] == b"(" else _zstd)(b"x"),
}
"""What can become of a coded body (of one member or frame, not a small one) on its way; each must be noticed."""


def gzip_bomb() -> bytes:
    """One member of BOMB_SIZE zeros, about 1 MiB. A block that refers to none before it is made once and repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(_MIB)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(BOMB_SIZE // _MIB):
        check = zlib.crc32(zeros, check)
    end = packer.flush() + check.to_bytes(4, "little") + BOMB_SIZE.to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block * (BOMB_SIZE // _MIB) + end


def zstd_bomb() -> bytes:
    """One frame of BOMB_SIZE zeros: some tens of KiB."""
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    zeros = bytes(4 * _MIB)
    return b"".join(packer.compress(zeros) for _ in range(BOMB_SIZE // len(zeros))) + packer.flush()
