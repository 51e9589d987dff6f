"""Decoding with bounded output: what goes in comes out, never more than the room, and damage is told apart."""

import gzip
import io
import itertools
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from typing import Final

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.commands import Coding
from ferryman_server.decoding import (
    MAX_SILENCE,
    OUTPUT_PIECE,
    Corrupt,
    Decoder,
    DecodingError,
    TooLarge,
    Truncated,
    WindowTooLarge,
    decoder,
)

ROOMY: Final = 1 << 40  # bytes
SKIPPABLE: Final = struct.pack("<II", 0x184D2A50, 5) + b"12345"


def zstd(data: bytes) -> bytes:
    """One zstd frame with a content checksum."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def packed(data: bytes) -> bytes:
    """One gzip member."""
    return gzip.compress(data, mtime=0)


PACKERS: Final[dict[Coding, Callable[[bytes], bytes]]] = {"identity": bytes, "gzip": packed, "zstd": zstd}
PACKED: Final[tuple[Coding, ...]] = ("gzip", "zstd")

codings = st.sampled_from(tuple(PACKERS))
packed_codings = st.sampled_from(PACKED)


class Collected:
    """A decoder and everything it emitted."""

    def __init__(self, coding: Coding, room: int | None = ROOMY) -> None:
        self.pieces: list[bytes] = []
        self.decoder: Decoder = decoder(coding, lambda piece: self.pieces.append(bytes(piece)), room)

    @property
    def plain(self) -> bytes:
        """The emitted bytes."""
        return b"".join(self.pieces)

    def take(self, coded: bytes, cuts: Sequence[int] = ()) -> "Collected":
        """Feed `coded`, cut at the given places, and finish."""
        places = sorted({0, len(coded), *(cut % (len(coded) + 1) for cut in cuts)})
        for start, stop in itertools.pairwise(places):
            self.decoder.feed(memoryview(coded)[start:stop])
        self.decoder.finish()
        return self


plain_texts = st.one_of(
    st.binary(max_size=400),
    st.builds(lambda unit, times: unit * times, st.binary(min_size=1, max_size=8), st.integers(0, 60_000)),
)


@given(coding=codings, parts=st.lists(plain_texts, min_size=1, max_size=4), cuts=st.lists(st.integers(0), max_size=8))
def test_what_was_coded_comes_out_whatever_the_cuts(coding: Coding, parts: list[bytes], cuts: list[int]) -> None:
    """Members and frames behind each other decode to the joined data, in order, however the body is cut."""
    coded = b"".join(map(PACKERS[coding], parts))
    assert Collected(coding).take(coded, cuts).plain == b"".join(parts)


@given(coding=codings, data=plain_texts, short=st.integers(0, 5), cuts=st.lists(st.integers(0), max_size=4))
def test_the_room_is_a_bound_to_the_byte(coding: Coding, data: bytes, short: int, cuts: list[int]) -> None:
    """Exactly the room is fine; one byte more is refused, after all that fits and nothing else was emitted."""
    room = max(0, len(data) - short)
    collected = Collected(coding, room)
    if room == len(data):
        collected.take(PACKERS[coding](data), cuts)
    else:
        with pytest.raises(TooLarge, match=f"{room} bytes"):
            collected.take(PACKERS[coding](data), cuts)
    assert collected.plain == data[:room]


@given(coding=codings, data=plain_texts)
def test_without_a_room_everything_comes_out(coding: Coding, data: bytes) -> None:
    """`room=None` bounds nothing."""
    assert Collected(coding, None).take(PACKERS[coding](data)).plain == data


@given(coding=packed_codings, parts=st.lists(st.binary(max_size=300), min_size=1, max_size=3), data=st.data())
def test_one_changed_byte_is_noticed_or_harmless(coding: Coding, parts: list[bytes], data: st.DataObject) -> None:
    """Whatever byte is changed: either decoding refuses, or the change was in a field that says nothing about the
    data (a gzip member's time, for instance), and the data are what they were."""
    coded = bytearray(b"".join(map(PACKERS[coding], parts)))
    place = data.draw(st.integers(0, len(coded) - 1), label="place")
    coded[place] ^= data.draw(st.integers(1, 255), label="change")
    collected = Collected(coding)
    try:
        collected.take(bytes(coded))
    except DecodingError:
        return
    assert collected.plain == b"".join(parts)


@given(coding=packed_codings, data=st.binary(min_size=1, max_size=2000), cut=st.integers(0))
def test_a_stream_that_ends_early_is_truncated_and_keeps_its_beginning(coding: Coding, data: bytes, cut: int) -> None:
    """Wherever a single member or frame breaks off, finish says so, and what was emitted is a beginning of the data."""
    coded = PACKERS[coding](data)
    collected = Collected(coding)
    with pytest.raises(Truncated, match="breaks off after coded byte"):
        collected.take(coded[: 1 + cut % (len(coded) - 1)])
    assert data.startswith(collected.plain)


@pytest.mark.parametrize("coding", PACKED)
def test_truncated_after_a_whole_part_is_noticed(coding: Coding) -> None:
    """A second member or frame that breaks off makes the whole truncated, wherever it breaks off."""
    first, second = PACKERS[coding](b"first"), PACKERS[coding](b"second" * 100)
    for cut in range(1, len(second)):
        with pytest.raises(Truncated):
            Collected(coding).take(first + second[:cut])


def test_truncated_in_a_skippable_frame_is_noticed() -> None:
    """A skippable frame counts as a frame: half of one is not an end."""
    for cut in range(1, len(SKIPPABLE)):
        with pytest.raises(Truncated):
            Collected("zstd").take(zstd(b"data") + SKIPPABLE[:cut])


@pytest.mark.parametrize("coding", list(PACKERS))
def test_an_empty_body_is_empty(coding: Coding) -> None:
    """No coded byte at all is an empty content, also when an empty piece was fed."""
    collected = Collected(coding, 0)
    collected.decoder.feed(memoryview(b""))
    collected.decoder.finish()
    assert collected.pieces == []


@pytest.mark.parametrize("coding", PACKED)
def test_coded_nothing_is_nothing(coding: Coding) -> None:
    """An empty member or frame is whole and emits no piece, even where there is no room."""
    assert Collected(coding, 0).take(PACKERS[coding](b"")).pieces == []


@pytest.mark.parametrize("coding", PACKED)
@pytest.mark.parametrize("garbage", [b"x", b"\0", b"\0" * 600, b"garbage behind the end"])
def test_bytes_behind_the_end_are_refused(coding: Coding, garbage: bytes) -> None:
    """Neither text nor zero padding may follow; the data before it have been emitted."""
    collected = Collected(coding)
    with pytest.raises((Corrupt, Truncated)):
        collected.take(PACKERS[coding](b"data") + garbage)
    assert collected.plain == b"data"


@pytest.mark.parametrize("coding", PACKED)
def test_garbage_is_corrupt_and_says_where(coding: Coding) -> None:
    """The text names the coding and the place."""
    with pytest.raises(Corrupt, match=rf"{coding} content is damaged .*coded byte 0"):
        Collected(coding).take(b"this is not coded at all")


@pytest.mark.parametrize("coding", PACKED)
def test_a_wrong_check_is_corrupt(coding: Coding) -> None:
    """The checksum at the end of a member (CRC-32) and of a frame (xxh64) is compared."""
    coded = bytearray(PACKERS[coding](random.Random(1).randbytes(1000)))
    coded[-5 if coding == "gzip" else -1] ^= 1
    with pytest.raises(Corrupt):
        Collected(coding).take(bytes(coded))


def test_a_gzip_member_of_another_length_is_corrupt() -> None:
    """The size at the end of a member is compared too."""
    coded = bytearray(packed(b"data"))
    coded[-4] ^= 1
    with pytest.raises(Corrupt):
        Collected("gzip").take(bytes(coded))


def test_all_optional_gzip_header_fields_are_read() -> None:
    """Extra field, name, comment and header CRC (RFC 1952 §2.3) are skipped over, wherever the header is cut."""
    for flags in range(32):
        header = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\x03"
        header += struct.pack("<H", 4) + b"abcd" if flags & 4 else b""
        header += (b"name\0" if flags & 8 else b"") + (b"comment\0" if flags & 16 else b"")
        header += struct.pack("<H", zlib.crc32(header) & 0xFFFF) if flags & 2 else b""
        coded = header + packed(b"data")[10:]
        for cuts in [range(len(coded)), *([cut] for cut in range(len(coded)))]:
            assert Collected("gzip").take(coded, cuts).plain == b"data"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"\x1f\x8b\x07", "no gzip member"),
        (b"\x1f\x8b\x08\x20\0\0\0\0\0\x03", "reserved flags"),
        (b"\x1f\x8b\x08\x02\0\0\0\0\0\x03\0\0", "the header's own checksum"),
        (b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + b"endless name" * 20_000, "header is longer"),
    ],
)
def test_a_gzip_header_that_breaks_a_rule_is_corrupt(header: bytes, reason: str) -> None:
    """Another method, reserved flags, a wrong header CRC, a name without an end: told at once, each by its name."""
    with pytest.raises(Corrupt, match=reason):
        Collected("gzip").take(header)


def test_skippable_frames_are_passed_over() -> None:
    """They carry nothing that belongs to the data (RFC 8878 §3.1.2)."""
    assert Collected("zstd", 8).take(SKIPPABLE + zstd(b"data") + SKIPPABLE + zstd(b"more")).plain == b"datamore"


def raw_frame(window_log: int, mantissa: int = 0) -> bytes:
    """A zstd frame of unknown content size: one raw block of one byte, with the given window descriptor."""
    descriptor = (window_log - 10) << 3 | mantissa
    return b"\x28\xb5\x2f\xfd\x00" + bytes([descriptor]) + struct.pack("<I", 1 << 3 | 1)[:3] + b"x"


def test_a_window_of_8_mib_is_taken_and_a_larger_one_refused() -> None:
    """The bound is exact: 8 MiB passes, the next larger window there is does not."""
    assert Collected("zstd").take(raw_frame(23)).plain == b"x"
    for frame in (raw_frame(23, 1), raw_frame(24), raw_frame(31), raw_frame(41)):
        with pytest.raises(WindowTooLarge, match="window log of at most 23"):
            Collected("zstd").take(zstd(b"first") + frame)


def test_a_real_encoder_with_a_large_window_is_refused() -> None:
    """Long-distance matching over 16 MiB, as `zstd --long=24` does when it does not know the size."""
    parameters = zstandard.ZstdCompressionParameters(window_log=24)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    coded = stream.compress(b"data") + stream.flush()
    with pytest.raises(WindowTooLarge):
        Collected("zstd").take(coded)


def test_a_dictionary_is_refused_in_clear_words() -> None:
    """A frame that names a dictionary is told to do without."""
    samples: list[bytes | bytearray | memoryview] = [
        f"{number} is a sample {number * 7919}".encode() * 9 for number in range(2000)
    ]
    dictionary = zstandard.train_dictionary(4096, samples)
    coded = zstandard.ZstdCompressor(dict_data=dictionary).compress(bytes(samples[0]))
    with pytest.raises(Corrupt, match="dictionary"):
        Collected("zstd").take(coded)


def gzip_bomb(size: int) -> bytes:
    """Zeros by gzip in members of 16 MiB, about a thousandth of `size`."""
    return gzip.compress(bytes(1 << 24)) * (size >> 24)


def zstd_bomb(size: int) -> bytes:
    """Zeros by zstd in one frame, about a thirty-thousandth of `size`."""
    stream = zstandard.ZstdCompressor(level=3).compressobj()
    return b"".join([*(stream.compress(bytes(1 << 20)) for _ in range(size >> 20)), stream.flush()])


@pytest.mark.parametrize(("coding", "bomb"), [("gzip", gzip_bomb), ("zstd", zstd_bomb)])
def test_a_bomb_costs_no_memory_and_stops_at_the_room(coding: Coding, bomb: Callable[[int], bytes]) -> None:
    """A gigabyte from a few bytes: 64 MiB come out in small pieces, then it ends, in less than 20 MB of memory."""
    coded = bomb(1 << 30)
    room, emitted, largest = 64 << 20, 0, 0

    def count(piece: memoryview) -> None:
        nonlocal emitted, largest
        emitted += len(piece)
        largest = max(largest, len(piece))

    tracemalloc.start()
    try:
        bounded = decoder(coding, count, room)
        with pytest.raises(TooLarge):
            bounded.feed(memoryview(coded))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (emitted, largest <= OUTPUT_PIECE) == (room, True)
    assert peak < 20_000_000


NOTHING: Final[dict[Coding, bytes]] = {
    "gzip": b"\x1f\x8b\x08\x04\0\0\0\0\0\x03\xff\xff" + bytes(0xFFFF) + packed(b"")[10:],  # a long extra field
    "zstd": struct.pack("<II", 0x184D2A5F, 1 << 16) + bytes(1 << 16),  # a skippable frame
}


@pytest.mark.parametrize("coding", PACKED)
def test_coded_bytes_that_decode_to_nothing_are_bounded(coding: Coding) -> None:
    """Skippable frames and empty members are taken for a while, not for ever."""
    unit = NOTHING[coding]
    endless = unit * (MAX_SILENCE // len(unit) + 2)
    with pytest.raises(Corrupt, match="decode to nothing"):
        Collected(coding).take(endless)


@pytest.mark.parametrize("coding", PACKED)
def test_output_in_between_ends_the_silence(coding: Coding) -> None:
    """The bound is on coded bytes in a row: data that come now and then start the count anew."""
    unit = NOTHING[coding] + PACKERS[coding](b"data")
    collected = Collected(coding)
    rounds = MAX_SILENCE // len(unit) + 2
    for _ in range(rounds):
        collected.decoder.feed(memoryview(unit))
    collected.decoder.finish()
    assert collected.plain == b"data" * rounds


@pytest.mark.parametrize("coding", PACKED)
def test_output_comes_as_early_as_the_coding_allows(coding: Coding) -> None:
    """Of data that hardly compress, at most two blocks of zstd and a few hundred KiB of gzip's are still inside."""
    data = random.Random(2).randbytes(4 << 20)
    coded = PACKERS[coding](data)
    collected = Collected(coding)
    for start in range(0, 2 << 20, 1 << 16):
        collected.decoder.feed(memoryview(coded)[start : start + (1 << 16)])
    assert len(collected.plain) > (2 << 20) - 2 * OUTPUT_PIECE
    assert data.startswith(collected.plain)


@pytest.mark.parametrize("coding", list(PACKERS))
def test_what_the_receiver_raises_comes_out(coding: Coding) -> None:
    """A store that is full ends the decoding with its own exception, not with one about the coding."""

    def full(_: memoryview) -> None:
        raise OSError(28, "no room left")

    with pytest.raises(OSError, match="no room left"):
        decoder(coding, full, ROOMY).feed(memoryview(PACKERS[coding](b"data" * 1000)))


def test_streams_of_other_encoders_are_read() -> None:
    """Flushed often, at every level, stored or packed: what real encoders write is taken."""
    data = b"".join(b"line %d of a log\n" % number for number in range(5000))
    for level in (0, 1, 6, 9):
        stream = zlib.compressobj(level, wbits=31)
        lines = data.splitlines(keepends=True)
        coded = b"".join([*(stream.compress(line) + stream.flush(zlib.Z_SYNC_FLUSH) for line in lines), stream.flush()])
        assert Collected("gzip").take(coded, range(0, len(coded), 997)).plain == data
    for level in (-5, 1, 9, 19):
        out = io.BytesIO()
        with zstandard.ZstdCompressor(level=level).stream_writer(out, closefd=False) as writer:
            for line in data.splitlines(keepends=True):
                writer.write(line)
                writer.flush()
        assert Collected("zstd").take(out.getvalue(), range(0, len(out.getvalue()), 997)).plain == data
