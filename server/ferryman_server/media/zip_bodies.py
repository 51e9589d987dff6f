"""The data of one entry: taken from the source up to their end, unpacked, counted and summed up.

Where the header says how long they are, that many bytes are taken, and the data have to end with them. Where it does
not, compressed data end by themselves. Stored data do not: they end where a descriptor says just the CRC-32 and the
size of what lies before it. A payload may be crafted to hold such a place: then the directory tells (browsers'
writers make archives of this kind, so they cannot be refused).
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from isal import isal_zlib

from ferryman_server.media.zip_descriptors import AHEAD, LONGEST, SHORTEST, descriptor_length, told
from ferryman_server.media.zip_errors import BadArchive
from ferryman_server.media.zip_headers import CENTRAL, DESCRIPTOR, LOCAL
from ferryman_server.media.zip_source import Reading, Source
from ferryman_server.media.zip_unpackers import CRUMB, Unpacker

Taste: TypeAlias = Callable[[bytes | memoryview], None]
_KEPT: Final = LONGEST - 4  # bytes that may turn out to be a descriptor without a signature
_WINDOW: Final = 1 << 16  # bytes searched at once
_RECORDS: Final = (DESCRIPTOR, LOCAL, CENTRAL)  # what may stand behind the data


class Tally:
    """What has come out of an entry so far."""

    def __init__(self, most: int | None, taste: Taste | None) -> None:
        """`most`: bytes that may come out; `taste`: hears them, in pieces whose memory is used again later."""
        self.size = 0
        self.crc = 0
        self._most = most
        self._taste = taste

    def add(self, plain: bytes | memoryview) -> None:
        """More has come out. Raises BadArchive beyond the limit."""
        self.size += len(plain)
        if self._most is not None and self.size > self._most:
            raise too_large(self._most)
        self.crc = isal_zlib.crc32(plain, self.crc)
        if self._taste is not None:
            self._taste(plain)


def too_large(most: int) -> BadArchive:
    """An entry, or all of them, unpacks to more than may come out."""
    return BadArchive(
        f"it unpacks to more than the {most} bytes that are left of the limits for compressed data (zip_entry_size, "
        "zip_total_size); store it uncompressed, or raise them"
    )


def stored(source: Source, size: int, tally: Tally) -> Reading[None]:
    """Stored data of a known size."""
    left = size
    while left:
        piece = (yield from source.some())[:left]
        tally.add(piece)
        left -= len(piece)
        source.skip(len(piece))


def compressed(source: Source, size: int, unpacker: Unpacker) -> Reading[None]:
    """Compressed data of a known size, which have to end with it. Raises BadArchive."""
    left = size
    while left:
        piece = (yield from source.some())[:left]
        if left == len(piece) > 1 and not unpacker.exact:
            piece = piece[:-1]  # the last byte alone: so it shows if the data end before it
        if unpacker.ended:
            raise BadArchive(
                "bytes are left behind the end of its compressed data, inside the size that its header says"
            )
        used = unpacker.feed(piece)
        left -= used
        source.skip(used)
    if not unpacker.ended:
        raise BadArchive(f"its compressed data do not end within the {size} bytes that its header gives them")


def compressed_to_its_end(source: Source, unpacker: Unpacker, tally: Tally) -> Reading[int]:
    """Compressed data of an unknown size, and the descriptor behind them; returns their size. Raises BadArchive."""
    start = source.offset
    while True:
        piece = (yield from source.some())[: unpacker.at_once]
        used = unpacker.feed(piece)
        if not unpacker.ended:
            source.skip(used)
            continue
        if unpacker.exact:
            source.skip(used)
            packed = source.offset - start
            yield from skip_descriptor(source, tally, packed)
            return packed
        return (yield from _find_descriptor(source, tally, start, len(piece)))


def skip_descriptor(source: Source, tally: Tally, packed: int) -> Reading[None]:
    """The descriptor, which has to say what was found. Raises BadArchive."""
    ahead = yield from source.peek(AHEAD)
    length = descriptor_length(ahead, crc=tally.crc, packed=packed, size=tally.size)
    if length is None:
        raise BadArchive(
            f"its descriptor does not fit: found were CRC-32 {tally.crc:08x}, {packed} bytes packed, {tally.size} "
            f"unpacked, and there stands {told(ahead)}"
        )
    source.skip(length)


def _find_descriptor(source: Source, tally: Tally, start: int, most: int) -> Reading[int]:
    """The data end within the next `most` bytes: where, the descriptor tells."""
    for ending in range(1, min(most, CRUMB) + 1):
        ahead = (yield from source.peek(ending + AHEAD))[ending:]
        packed = source.offset + ending - start
        length = descriptor_length(ahead, crc=tally.crc, packed=packed, size=tally.size)
        if length is not None:
            source.skip(ending + length)
            return packed
    raise BadArchive(
        f"no descriptor behind its compressed data fits: found were CRC-32 {tally.crc:08x} and {tally.size} bytes"
    )


def stored_to_its_end(source: Source, tally: Tally) -> Reading[None]:
    """Stored data of an unknown size, and the descriptor behind them. Raises BadArchive."""
    waiting = _Waiting(tally)
    while True:
        piece = (yield from source.some())[:_WINDOW]
        taken, ended = waiting.search(piece)
        source.skip(taken)
        if ended:
            return
        if not taken:  # a record may begin here, and too little of it has come
            ahead = yield from source.peek(AHEAD)
            length = waiting.ends(ahead)
            if length is not None:
                source.skip(length)
                return
            waiting.add(memoryview(ahead)[:1])
            source.skip(1)


class _Waiting:
    """Stored data whose last bytes wait: they may be a descriptor without a signature."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._kept = b""

    def add(self, piece: memoryview) -> None:
        tally, kept = self._tally, self._kept
        if len(piece) >= _KEPT:
            if kept:
                tally.add(kept)
            tally.add(piece[:-_KEPT])
            self._kept = bytes(piece[-_KEPT:])
            return
        kept += piece
        if len(kept) > _KEPT:
            tally.add(kept[:-_KEPT])
        self._kept = kept[-_KEPT:]

    def search(self, piece: memoryview) -> tuple[int, bool]:
        """Look for the end in a piece: (bytes that belong to the entry, whether it ends with them). 0 bytes: what
        stands there may be the end, and more has to be seen."""
        window, done = bytes(piece), 0
        at = window.find(b"PK")
        while 0 <= at <= len(window) - AHEAD:
            if window[at : at + 4] in _RECORDS:
                self.add(piece[done:at])
                done = at
                length = self.ends(window[at : at + AHEAD])
                if length is not None:
                    return at + length, True
            at = window.find(b"PK", at + 1)
        stop = at if at >= 0 else len(window) - window.endswith(b"P")
        self.add(piece[done:stop])
        return stop, False

    def ends(self, ahead: bytes) -> int | None:
        """How many of the bytes ahead belong to the descriptor, if the data end here or just before; else None."""
        if ahead.startswith(DESCRIPTOR):
            return self._ends_before(0, ahead)
        if ahead[:4] in (LOCAL, CENTRAL):
            for length in (SHORTEST, SHORTEST + 8):
                if len(self._kept) >= length and self._ends_before(length, self._kept[-length:] + ahead):
                    return 0
        return None

    def _ends_before(self, back: int, record: bytes) -> int | None:
        """The length of the descriptor that begins `back` bytes before here, where the data end; None: there is
        none."""
        data = self._kept[: len(self._kept) - back]
        size = self._tally.size + len(data)
        crc = isal_zlib.crc32(data, self._tally.crc)
        length = descriptor_length(record, crc=crc, packed=size, size=size)
        if length is None or (back and length != back):
            return None
        if data:
            self._tally.add(data)
        self._kept = b""
        return length
