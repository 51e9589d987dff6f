"""Which of a container's streams is looked at, whether it may be decoded, and how long it is."""

from collections.abc import Iterator
from typing import Final, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.stream import Stream as AnyStream
from av.video.stream import VideoStream

from ferryman_server.making.av_feed import Feed
from ferryman_server.making.av_opening import DECODERS, MOST_SIDE, PIXEL_LIMIT, to_beginning
from ferryman_server.making.errors import CannotMake

Stream: TypeAlias = VideoStream | AudioStream

_WALKED: Final = frozenset({"mp3", "aac"})  # demuxers that take the file's size by the first frames' bit rate
_MOST_PACKETS: Final = 3_000_000  # ten hours of sound and pictures have half of that
_MOST_EMPTY: Final = 10_000  # packets
_LONGEST: Final = 10**8  # seconds: beyond three years it is no duration


def video_of(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures; a cover is none. Raises CannotMake for one that is too large."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            context = stream.codec_context
            if context is not None:
                check_sides(context.width, context.height)
            return stream
    return None


def audio_of(container: InputContainer) -> AudioStream | None:
    """The first stream of sound."""
    return next(iter(container.streams.audio), None)


def check_sides(width: int, height: int) -> None:
    """Raises CannotMake for pictures, in pixels, that are not decoded."""
    if width > MOST_SIDE or height > MOST_SIDE:
        raise CannotMake(
            f"its pictures have {width}×{height} pixels; videos up to {MOST_SIDE}×{MOST_SIDE} are decoded here"
        )


def is_decoded(stream: Stream) -> bool:
    """Whether its coding is one of those that are decoded here."""
    context = stream.codec_context
    return context is not None and context.name in DECODERS


def prepare(container: InputContainer, stream: Stream) -> None:
    """Make ready to decode this stream, in this thread alone, and no other. Raises CannotMake for a coding that is not
    decoded here."""
    context = stream.codec_context
    if not is_decoded(stream):
        what = "pictures are" if isinstance(stream, VideoStream) else "sound is"
        coding = "in an unknown way" if context is None else f"as {context.codec.canonical_name}"
        raise CannotMake(f"its {what} coded {coding}, which is not decoded here: upload it in H.264, VP9, AAC or Opus")
    context.thread_count = 1
    context.options = {"max_pixels": PIXEL_LIMIT}
    only(container, stream)


def only(container: InputContainer, stream: Stream) -> None:
    """The others' packets are not wanted."""
    for other in container.streams:
        other.discard = Discard.default if other.index == stream.index else Discard.all


def packets_of(container: InputContainer, stream: Stream) -> "Iterator[Packet[AnyStream]]":
    """What follows of a stream, until it ends or is damaged."""
    demuxed: Iterator[Packet[AnyStream]] = container.demux(stream)
    empty = 0  # these are dropped frames, or end the stream for decoders
    while empty < _MOST_EMPTY:
        try:
            packet = next(demuxed, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        if packet.size:
            yield packet
        else:
            empty += 1


def duration_of(container: InputContainer, stream: Stream, feed: Feed, size: int) -> float | None:
    """Seconds, as the container says where that can be believed, else as the packets do; None: that would take too
    long, or nobody knows. `size`: bytes of the file. Where the stream is then is not told."""
    said = seconds(container.duration / av.time_base) if container.duration is not None else None
    if said is None or container.format.name in _WALKED:
        return walked(container, stream, feed) or said
    rate = pcm_rate(stream)
    return min(said, size / rate) if rate else said  # a header that was never completed, or a file cut off


def seconds(value: float) -> float | None:
    """The same, if it can be a duration."""
    return value if 0 < value < _LONGEST else None


def pcm_rate(stream: Stream) -> float:
    """Bytes a second of uncompressed sound; 0: it is none."""
    context = stream.codec_context
    if not isinstance(stream, AudioStream) or context is None or not context.name.startswith("pcm_"):
        return 0
    return (context.bit_rate or 0) / 8


def walked(container: InputContainer, stream: Stream, feed: Feed) -> float | None:
    """Seconds from its first packet to the end of its last; None: there are more than may be read, or they have no
    times."""
    only(container, stream)
    to_beginning(container)
    begins, ends = None, 0
    for count, packet in enumerate(packets_of(container, stream)):
        if count == _MOST_PACKETS:
            return None
        at = packet.pts if packet.pts is not None else packet.dts
        if at is not None:
            begins = at if begins is None else min(begins, at)
            ends = max(ends, at + (packet.duration or 0))
    if begins is None or feed.spent or stream.time_base is None:
        return None
    return seconds(float((ends - begins) * stream.time_base))
