"""Single pictures of a film that can be decoded by themselves, near given times, with as little as possible decoded.

A key picture goes into the decoder alone and is flushed out: the decoder holds one picture, however many a stream of
its kind may want. Only where none is marked or none comes out, as in streams that refresh their pictures bit by bit,
is the beginning of the stream decoded as a player does it.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ferryman_server.making.av_feed import Feed
from ferryman_server.making.av_memory import room_for_picture
from ferryman_server.making.av_opening import to_beginning
from ferryman_server.making.av_streams import check_sides, packets_of

_MOST_PACKETS: Final = 2000  # until a key picture comes: more than a minute
_MOST_FAILURES: Final = 3  # key pictures that nothing comes out of
_MOST_PLAYED: Final = 100
_LAST: Final = 16 << 20  # bytes that may be read for the beginning when all the others are used up


def key_pictures(
    container: InputContainer, stream: VideoStream, feed: Feed, shares: Sequence[float]
) -> Iterator[VideoFrame]:
    """The key pictures at or before these shares of the duration (0 to 1), each once; if there are none, the first
    picture that can be decoded at all. `stream` is prepared. Raises CannotMake where one is larger than announced."""
    seen: set[int | None] = set()
    for share in _reachable(container, shares):
        if not _goes_to(container, stream, share):
            continue
        frame = _next_key(container, stream, seen)
        if frame is not None:
            yield frame
    if not seen:
        yield from _from_beginning(container, stream, feed)


def first_picture(container: InputContainer, stream: VideoStream, feed: Feed) -> VideoFrame | None:
    """The first picture there is; None: nothing can be decoded. `stream` is prepared, nothing was read of it."""
    return _next_key(container, stream, set()) or next(_from_beginning(container, stream, feed), None)


def _reachable(container: InputContainer, shares: Sequence[float]) -> Sequence[float]:
    """Without a duration there are no shares of it."""
    return shares if (container.duration or 0) > 0 else ()


def _goes_to(container: InputContainer, stream: VideoStream, share: float) -> bool:
    """Seek to the key picture at or before this share; whether that went well."""
    at = ((container.start_time or 0) + (container.duration or 0) * share) / av.time_base
    try:
        container.seek(int(at / stream.time_base) if stream.time_base else 0, stream=stream)
    except (av.FFmpegError, OverflowError):
        return False
    return True


def _from_beginning(container: InputContainer, stream: VideoStream, feed: Feed) -> Iterator[VideoFrame]:
    feed.allow(_LAST)
    for attempt in (_next_key, _played):
        to_beginning(container)
        frame = attempt(container, stream, set())
        if frame is not None:
            yield frame
            return


def _next_key(container: InputContainer, stream: VideoStream, seen: set[int | None]) -> VideoFrame | None:
    """The next key picture; None: there is none, or it is one of those that were seen."""
    failures = 0
    for count, packet in enumerate(packets_of(container, stream)):
        if count >= _MOST_PACKETS:
            break
        if not packet.is_keyframe:
            continue
        if packet.pts in seen and packet.pts is not None:
            break
        frame = _alone(stream.codec_context, packet)
        if frame is not None:
            seen.add(packet.pts)
            check_sides(frame.width, frame.height)
            return frame
        failures += 1
        if failures == _MOST_FAILURES:
            break
    return None


def _alone(context: VideoCodecContext, packet: "Packet[Stream]") -> VideoFrame | None:
    """What comes out of a decoder that is given this packet only."""
    frames: list[object] = []
    for piece in (packet, None):
        with suppress(av.FFmpegError), room_for_picture():
            frames += context.decode(piece)
    context.flush_buffers()
    return next((frame for frame in frames if isinstance(frame, VideoFrame)), None)


def _played(container: InputContainer, stream: VideoStream, _seen: set[int | None]) -> VideoFrame | None:
    """The first picture of a decoder that is given everything from here on."""
    context = stream.codec_context
    for count, packet in enumerate(packets_of(container, stream)):
        if count >= _MOST_PLAYED:
            break
        frames: list[object] = []
        with suppress(av.FFmpegError), room_for_picture():
            frames += context.decode(packet)
        for frame in frames:
            if isinstance(frame, VideoFrame):
                check_sides(frame.width, frame.height)
                return frame
    return None
