"""Undoing the compression of one entry, with bounded output: piece by piece, up to the end that the data themselves
have.

What is given to a decoder at once is so little that its output stays small however well it was packed: 256 bytes of
Deflate64 or zstd unpack to 8 MB at most (their best ratios are 29,127 and 32,768 to one). isal bounds its output
itself.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias, cast

from isal import igzip_lib
from zstandard import ZstdDecompressor, ZstdError

from ferryman_server.media.entries import DEFLATED, DEFLATED64, ZSTD
from ferryman_server.media.zip_errors import BadArchive

OUTPUT: Final = 1 << 18  # bytes that isal hands over at once
SLICE: Final = 1 << 14  # bytes given to isal at once where the end is not known: it copies what lies behind it
CRUMB: Final = 256  # bytes given to the others at once
MAX_WINDOW: Final = 1 << 23  # bytes of a zstd window, as RFC 9659 §3 has it for HTTP

_ISAL_ERROR: Final = cast(type[Exception], igzip_lib.IsalError)  # the stubs call it an instance

Emit: TypeAlias = Callable[[bytes], None]


class Unpacker(Protocol):
    """Takes packed bytes and emits unpacked ones."""

    ended: bool  # the data have come to their own end
    at_once: int  # bytes to be given at once where it is not known where they end
    exact: bool  # whether `feed` tells where the end was, or only that it lies among the bytes of the last call

    def feed(self, packed: memoryview) -> int:
        """Unpack; returns how many bytes it was, fewer than given where the data end before. Raises BadArchive, and
        what the callback raises."""


class Inflate:
    """Deflate (RFC 1951) by isal."""

    at_once = SLICE
    exact = True

    def __init__(self, emit: Emit) -> None:
        self.ended = False
        self._emit = emit
        self._state = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)

    def feed(self, packed: memoryview) -> int:
        """Unpack."""
        state, given = self._state, packed
        while True:
            try:
                plain = state.decompress(given, OUTPUT)
            except _ISAL_ERROR as error:
                raise damaged("deflated", error) from error
            if plain:
                self._emit(plain)
            if state.eof:
                self.ended = True
                return len(packed) - len(state.unused_data)
            if state.needs_input:
                return len(packed)
            given = memoryview(b"")  # it holds what is left of the input


class Inflate64:
    """Deflate64 (APPNOTE 4.4.5, method 9), by the inflate64 package."""

    at_once = CRUMB
    exact = False

    def __init__(self, emit: Emit) -> None:
        try:
            from inflate64 import Inflater
        except ImportError as error:
            raise BadArchive(
                "it is packed with Deflate64, and this server cannot unpack that: pip install ferryman[media]"
            ) from error
        self.ended = False
        self._emit = emit
        self._state: Any = Inflater()

    def feed(self, packed: memoryview) -> int:
        """Unpack."""
        for start in range(0, len(packed), CRUMB):
            if self.ended:
                return start
            try:
                plain = self._state.inflate(packed[start : start + CRUMB])
            except ValueError as error:
                raise damaged("Deflate64", error) from error
            self.ended = self._state.eof
            if plain:
                self._emit(plain)
        return len(packed)


class Zstd:
    """One zstd frame (RFC 8878; APPNOTE 4.4.5, method 93). Readers differ in whether they look for a second one."""

    at_once = CRUMB
    exact = True

    def __init__(self, emit: Emit) -> None:
        self.ended = False
        self._emit = emit
        self._frame = ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()

    def feed(self, packed: memoryview) -> int:
        """Unpack."""
        for start in range(0, len(packed), CRUMB):
            piece = packed[start : start + CRUMB]
            try:
                plain = self._frame.decompress(piece)
            except ZstdError as error:
                raise _refused_by_zstd(error) from error
            if plain:
                self._emit(plain)
            if self._frame.eof:
                self.ended = True
                return start + len(piece) - len(self._frame.unused_data)
        return len(packed)


UNPACKERS: Final[dict[int, Callable[[Emit], Unpacker]]] = {DEFLATED: Inflate, DEFLATED64: Inflate64, ZSTD: Zstd}
"""By method. Making one raises BadArchive where what it needs is not installed."""


def damaged(how: str, error: Exception) -> BadArchive:
    """The decoder cannot read on."""
    return BadArchive(f"its {how} data are damaged ({error}); pack it anew")


def _refused_by_zstd(error: ZstdError) -> BadArchive:
    if "too much memory" in str(error):
        return BadArchive(
            f"its zstd data need a window of more than {MAX_WINDOW >> 20} MiB; pack it with a window log of at most 23"
        )
    return damaged("zstd", error)
