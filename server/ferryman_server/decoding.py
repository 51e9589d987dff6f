"""Undoing a content coding, with bounded output: gzip and zstd, and identity under the same rule.

Rules (reference: RFC 9110 §8.4, RFC 1952, RFC 8878, RFC 9659):

- What comes out is limited by `room`, counted while it comes out. Up to `room` bytes are emitted; the byte after that
  raises :class:`TooLarge` and is not emitted. A stream may still end properly after exactly `room` bytes.
- A piece of output is at most 128 KiB, however well the input was packed, so that a bomb costs no memory. zstandard is
  used through its stream writer alone: its decompression object makes a gigabyte in one call.
- Several gzip members or zstd frames behind each other are one stream. Anything else behind the last one is refused.
- A zstd window is at most 8 MiB (RFC 9659 §3). Dictionaries are refused: there is no way to agree on one here.
- Coded bytes that decode to nothing (skippable frames, empty members) are taken up to 16 MiB in a row. Real streams
  have some, a stream of nothing else only keeps a thread busy. A gzip header has at most 128 KiB.
- Output is emitted as early as the library hands it over, since a body that breaks off keeps what was decoded.

After an exception a decoder must not be used again.
"""

import secrets
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Final, Protocol, TypeAlias, cast

from isal import igzip_lib
from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError

from ferryman_protocol.commands import Coding

MAX_WINDOW: Final = 1 << 23  # bytes: "decoders MUST support … at least 8 MB, encoders MUST NOT exceed" (RFC 9659 §3)
OUTPUT_PIECE: Final = 1 << 17  # bytes: the largest piece emitted by gzip and zstd; also zstd's largest block
MAX_SILENCE: Final = 1 << 24  # bytes of coded input in a row that decode to nothing

_GZIP_INPUT: Final = (
    1 << 14
)  # bytes handed to isal at once: it copies what follows a member, so tiny members stay cheap
_ZSTD_INPUT: Final = 1 << 17  # bytes handed to zstandard at once
_GZIP_START: Final = b"\x1f\x8b\x08"  # of every gzip member: the magic number, and deflate (RFC 1952 §2.3.1)
_MAX_GZIP_HEADER: Final = 1 << 17  # bytes: room for the largest extra field (64 KiB), a name and a comment

_ISAL_ERROR: Final = cast(type[Exception], igzip_lib.IsalError)  # the stubs call it an instance

Emit: TypeAlias = Callable[[memoryview], None]


class DecodingError(Exception):
    """The coded content cannot be taken; `str()` says to the sender which coding, where, and what to do."""


class TooLarge(DecodingError):
    """The content goes beyond the room: everything up to it has been emitted, nothing after it."""


class Truncated(DecodingError):
    """The body ended in the middle of its coding; what was decoded so far has been emitted."""


class Corrupt(DecodingError):
    """The content is not what its coding says it is: damaged, followed by other bytes, or in need of a dictionary."""


class WindowTooLarge(DecodingError):
    """A zstd frame wants a window of more than 8 MiB."""


class Decoder(Protocol):
    """Takes coded bytes in order and emits decoded ones."""

    def feed(self, piece: memoryview) -> None:
        """Decode the next coded bytes and emit what comes out; `piece` is not kept. Raises DecodingError, and what
        the callback raises."""

    def finish(self) -> None:
        """The body has ended: raises Truncated or Corrupt unless the coding has ended there too.

        A body without a single coded byte is an empty one, and fine.
        """


def decoder(coding: Coding, emit: Emit, room: int | None) -> Decoder:
    """A decoder for one body. `room`: the most bytes that may be emitted; None: unlimited."""
    match coding:
        case "gzip":
            return _Gzip(emit, room)
        case "zstd":
            return _Zstd(emit, room)
        case _:
            return _Identity(emit, room)


class _Output:
    """Counts what is emitted and stops at the room."""

    def __init__(self, emit: Emit, room: int | None) -> None:
        self.emitted = 0  # bytes
        self._emit = emit
        self._room = room

    def put(self, piece: memoryview) -> None:
        left = len(piece) if self._room is None else self._room - self.emitted
        fitting = piece[:left]
        if len(fitting):
            self.emitted += len(fitting)
            self._emit(fitting)
        if len(piece) > left:
            raise TooLarge(
                f"the content is longer than the {self._room} bytes that may still be stored "
                "(counted after decoding); send no more than that"
            )


class _Silence:
    """Counts coded bytes, all of them and those since the last output."""

    def __init__(self, coding: str, output: _Output) -> None:
        self.coded = 0  # bytes
        self._coding = coding
        self._output = output
        self._emitted = 0
        self._quiet = 0

    def took(self, size: int) -> None:
        self.coded += size
        if self._output.emitted > self._emitted:
            self._emitted, self._quiet = self._output.emitted, 0
            return
        self._quiet += size
        if self._quiet > MAX_SILENCE:
            raise Corrupt(
                f"more than {MAX_SILENCE} coded bytes in a row, up to coded byte {self.coded}, decode to nothing; "
                f"send {self._coding} without large empty or skippable parts"
            )


class _Identity:
    """No coding: bytes pass through."""

    def __init__(self, emit: Emit, room: int | None) -> None:
        self._output = _Output(emit, room)

    def feed(self, piece: memoryview) -> None:
        self._output.put(piece)

    def finish(self) -> None:
        """Every end is a proper one."""


class _Gzip:
    """gzip: members behind each other, the header of each read here, the rest of it by isal.

    isal also reads headers, but loses its place in some that arrive in pieces (a header CRC, several optional fields).
    It checks CRC-32 and size at the end of each member.
    """

    def __init__(self, emit: Emit, room: int | None) -> None:
        self._output = _Output(emit, room)
        self._silence = _Silence("gzip", self._output)
        self._header = bytearray()  # of a member that has just begun
        self._member: igzip_lib.IgzipDecompressor | None = None
        self._members = 0  # complete ones

    def feed(self, piece: memoryview) -> None:
        for part in _slices(piece, _GZIP_INPUT):
            rest: memoryview | bytes = part
            while rest:
                rest = self._begin(rest) if self._member is None else self._inflate(self._member, rest)
            self._silence.took(len(part))

    def finish(self) -> None:
        if self._member is not None or self._header:
            raise Truncated(
                f"the gzip content breaks off after coded byte {self._silence.coded}, before the end of member "
                f"{self._members + 1}; send the whole of it"
            )

    def _begin(self, coded: memoryview | bytes) -> bytes:
        """Read on in a member's header; returns the bytes after it."""
        self._header += coded
        try:
            end = _gzip_header_end(self._header)
        except ValueError as error:
            raise self._corrupt(str(error)) from error
        if end is None:
            return b""
        rest = bytes(self._header[end:])
        self._header.clear()
        self._member = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP_NO_HDR_VER)
        return rest

    def _inflate(self, member: igzip_lib.IgzipDecompressor, coded: memoryview | bytes) -> bytes:
        """Decode until the input is used up or the member ends; returns the bytes after its end."""
        while True:
            try:
                plain = member.decompress(coded, OUTPUT_PIECE)
            except _ISAL_ERROR as error:
                raise self._corrupt(str(error)) from error
            self._output.put(memoryview(plain))
            if member.eof:
                self._member = None
                self._members += 1
                return member.unused_data
            if member.needs_input:
                return b""
            coded = b""  # what is left of the input, the decompressor holds itself

    def _corrupt(self, reason: str) -> Corrupt:
        where = f"after {self._members} whole members, " if self._members else ""
        return Corrupt(
            f"the gzip content is damaged {where}soon after coded byte {self._silence.coded} ({reason}); "
            "compress it anew and send nothing behind it"
        )


def _gzip_header_end(header: bytearray) -> int | None:
    """The size of a member's header (RFC 1952 §2.3) from the bytes it begins with; None: it goes on.

    Raises ValueError for bytes that are no header.
    """
    if not _GZIP_START.startswith(header[: len(_GZIP_START)]):
        raise ValueError("no gzip member begins there")
    if len(header) > _MAX_GZIP_HEADER + _GZIP_INPUT:
        raise ValueError(f"its header is longer than {_MAX_GZIP_HEADER} bytes")
    if len(header) < 10:
        return None
    flags, end = header[3], 10
    if flags & 0xE0:
        raise ValueError("its header has reserved flags set")  # "must give an error indication" (§2.3.1.2)
    if flags & 4:  # FEXTRA
        end += 2 + int.from_bytes(header[10:12], "little")
    for _ in range(bool(flags & 8) + bool(flags & 16)):  # FNAME, FCOMMENT: text up to a zero
        zero = header.find(0, end)
        if zero < 0:
            return None
        end = zero + 1
    if flags & 2:  # FHCRC
        end += 2
        if len(header) >= end and zlib.crc32(header[: end - 2]) & 0xFFFF != int.from_bytes(
            header[end - 2 : end], "little"
        ):
            raise ValueError("its header does not have the header's own checksum")
    return end if end <= len(header) else None


class _Zstd:
    """zstd by zstandard: a stream writer into a sink that counts; the library goes on from frame to frame by itself.

    The library does not tell whether a frame is under way. So at the end it is given one more frame, made here from
    random bytes: exactly these come out if, and only if, the content ended at the end of a frame.
    """

    def __init__(self, emit: Emit, room: int | None) -> None:
        self._output = _Output(emit, room)
        self._silence = _Silence("zstd", self._output)
        self._sink = _ZstdSink(self._output)
        # The window is checked where one is needed: a frame of at most 128 KiB that lies whole in one input has none.
        self._writer = ZstdDecompressor(max_window_size=MAX_WINDOW).stream_writer(
            cast(IO[bytes], self._sink), write_size=OUTPUT_PIECE
        )

    def feed(self, piece: memoryview) -> None:
        for part in _slices(piece, _ZSTD_INPUT):
            try:
                self._writer.write(part)
            except ZstdError as error:
                raise _zstd_failure(str(error), self._silence.coded) from error
            self._silence.took(len(part))

    def finish(self) -> None:
        if not self._silence.coded:
            return
        mark = secrets.token_bytes(16)
        frame = ZstdCompressor().compress(mark)
        self._sink.after_end = bytearray()
        try:
            # In two writes: handed a whole frame at once, the library forgets a frame header that has only begun.
            self._writer.write(frame[:1])
            self._writer.write(frame[1:])
        except ZstdError:
            self._sink.after_end.clear()
        if self._sink.after_end != mark:
            raise Truncated(
                f"the zstd content breaks off after coded byte {self._silence.coded}, before the end of its frame; "
                "send the whole of it"
            )


class _ZstdSink:
    """What the stream writer writes to."""

    def __init__(self, output: _Output) -> None:
        self.after_end: bytearray | None = None  # what comes out after the content's end
        self._output = output

    def write(self, piece: bytes) -> int:
        if self.after_end is None:
            self._output.put(memoryview(piece))
        else:
            self.after_end += piece
        return len(piece)


def _zstd_failure(reason: str, coded: int) -> DecodingError:
    """The library tells its errors apart by text alone; the texts are libzstd's own."""
    if "too much memory" in reason:
        return WindowTooLarge(
            f"a zstd frame soon after coded byte {coded} needs a window of more than {MAX_WINDOW} bytes; compress "
            "with a window log of at most 23"
        )
    if "ictionary" in reason:
        return Corrupt(
            f"a zstd frame soon after coded byte {coded} needs a dictionary, and none is known here; compress without"
        )
    return Corrupt(
        f"the zstd content is damaged soon after coded byte {coded} ({reason}); compress it anew and send nothing "
        "behind it"
    )


def _slices(piece: memoryview, size: int) -> Iterator[memoryview]:
    for start in range(0, len(piece), size):
        yield piece[start : start + size]
