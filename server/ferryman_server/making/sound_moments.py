"""Moments of a long sound, spread evenly over it, for what would take too long to be decoded as a whole.

Jumps go by time where the container has an index. Streams that have none are entered at any byte, from which their
demuxers find the next frame.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from ferryman_server.making.av_feed import Feed
from ferryman_server.making.av_streams import packets_of, seconds
from ferryman_server.making.peaks import Peak, extremes, joined, samples_of
from ferryman_server.making.samples import samples

_BY_BYTE: Final = frozenset({"mp3", "aac", "ac3", "flac", "ogg", "mpeg", "mpegts"})  # demuxers without an index
_EXACT: Final = ("pcm_", "flac", "alac")  # codings whose first frame after a jump is right
_SETTLES: Final = 0.08  # seconds until the others are (RFC 7845 §4.6, Opus; the others take less)
_MOMENT: Final = 0.05  # seconds that are listened to
_MOST_PACKETS: Final = 64  # of a moment
_MOST_PASSED: Final = 2000  # packets between a place that can be jumped to and the one that is wanted


def moments(container: InputContainer, stream: AudioStream, feed: Feed, size: int, count: int) -> list[Peak | None]:
    """The lowest and highest sample of so many moments; None: nothing came out there. `stream` is prepared; `size`:
    bytes of the file."""
    found: list[Peak | None] = [None] * count
    by_byte = container.format.name in _BY_BYTE
    if seconds((container.duration or 0) / av.time_base) is None and not by_byte:
        return found
    for place in coarse_first(count):
        if feed.spent:
            break
        if by_byte:
            found[place] = _moment(stream, _from_byte(container, stream, place * size // count))
        else:
            found[place] = _moment(stream, _from_time(container, stream, place / count))
    return found


def coarse_first(count: int) -> Iterator[int]:
    """Each place once, those that are furthest apart first: wherever it is broken off, it was spread evenly."""
    step = 1 << (count - 1).bit_length()
    yield 0
    while step > 1:
        step //= 2
        yield from range(step, count, 2 * step)


def without_gaps(found: Sequence[Peak | None]) -> list[Peak]:
    """Where nothing was found stands what was found before, or else first; nothing, where there is nothing at all."""
    last = next((peak for peak in found if peak is not None), None)
    filled: list[Peak] = []
    for peak in found:
        last = peak if peak is not None else last
        if last is not None:
            filled.append(last)
    return filled


def _from_time(container: InputContainer, stream: AudioStream, share: float) -> "Iterator[Packet[Stream]]":
    """What follows this share of the duration."""
    at = ((container.start_time or 0) + (container.duration or 0) * share) / av.time_base
    wanted = int(at / stream.time_base) if stream.time_base else 0
    try:
        container.seek(wanted, stream=stream)
    except (av.FFmpegError, OverflowError):
        return
    for count, packet in enumerate(packets_of(container, stream)):
        if count >= _MOST_PASSED or packet.pts is None or packet.pts + (packet.duration or 0) >= wanted:
            yield packet


def _from_byte(container: InputContainer, stream: AudioStream, at: int) -> "Iterator[Packet[Stream]]":
    """What follows this byte of the file."""
    try:
        container.seek(at, unsupported_byte_offset=True)
    except av.FFmpegError:
        return
    yield from packets_of(container, stream)


def _moment(stream: AudioStream, packets: "Iterator[Packet[Stream]]") -> Peak | None:
    """What is heard in these packets, at their end if there are few of them."""
    settles = 0.0 if stream.codec_context.name.startswith(_EXACT) else _SETTLES
    heard, peak, settled = 0.0, None, False
    for frame in samples(stream, islice(packets, _MOST_PACKETS)):
        found = extremes(samples_of(frame))
        peak = joined(peak, found) if peak is not None and settled else found
        settled = heard >= settles
        heard += frame.samples / frame.sample_rate
        if heard >= settles + _MOMENT:
            break
    return peak
