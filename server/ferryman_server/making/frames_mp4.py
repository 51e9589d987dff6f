"""Images as a film: H.264 in MP4, with what comes first in the file that a browser must know first.

The film has limited range and the colours of BT.709, and says so; the images have the full range of sRGB, whose
primaries are the same. A codec with one thread and a short look ahead: memory counts more here than time.

How well it is done depends on the room: the encoder's buffer model spreads the bytes over the whole film. It counts in
seconds, and has no fractions of a kilobit in them, so a film of very few frames a second is encoded as if it had ten;
only what the file says of times is heard by players.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, Final

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

if TYPE_CHECKING:
    from PIL.Image import Image

_PRESET: Final = "veryfast"
_QUALITY: Final = 25  # x264's crf; a step of 6 halves the bits
_COARSE: Final = 39  # x264's quantizer: from about here on a smaller picture looks better than a coarser one
_LAMBDA: Final = 118  # libavutil/avutil.h FF_QP2LAMBDA: the unit in which FFmpeg tells quantizers
_RATES: Final = (10, 240)  # frames a second that the encoder is told at least and at most
_LEAST_SIDE: Final = 16  # pixels: H.264's macroblock
_OF_FILE: Final = 1500  # bytes of the file that are not frames, and for each frame:
_OF_FRAME: Final = 12
_BURST: Final = Fraction(1, 4)  # of the room, that may be taken at once


@dataclass(frozen=True, slots=True)
class Times:
    """Which frames of a medium are shown, and for how long."""

    count: int  # frames of the medium
    step: int  # every so many of them one is shown
    frame: Fraction  # seconds that a frame of the medium takes

    @property
    def numbers(self) -> range:
        """Of the frames that are shown."""
        return range(0, self.count, self.step)


@dataclass(frozen=True, slots=True)
class Film:
    """What came of it."""

    data: bytes | None  # None: it would have become too large
    side: int  # pixels: the longer side of the images
    excess: float  # by what factor its images have too much in them for the room; 1 or less: they look well


def encoded(images: Iterator["Image"], times: Times, most: int) -> Film:
    """A film of these images in mode RGB, one for each of the numbers and all of one size, of at most `most` bytes.

    Raises FFmpegError, and what `images` raises."""
    first = next(images)
    out = BytesIO()
    done = size = quantizers = 0
    with av.open(
        out,
        "w",
        format="mp4",
        container_options={"movflags": "+faststart", "movie_timescale": str(times.frame.denominator)},
        io_open=lambda *_: BytesIO(out.getvalue()),  # what comes first is written last, and the rest moved behind it
    ) as container:
        stream = _stream(container, _fitted(first).size, times, most)
        for packet in _packets(stream, chain([first], images), times):
            quantizers += int.from_bytes(bytes(packet.get_sidedata("quality_stats"))[:4], "little") // _LAMBDA
            done += 1
            size += packet.size
            if size > most:
                break
            container.mux(packet)
    data = out.getvalue() if size <= most else b""
    excess = max(2 ** ((quantizers / done - _COARSE) / 6), len(times.numbers) / done)
    return Film(data if 0 < len(data) <= most else None, max(first.size), excess)


def _stream(container: OutputContainer, size: tuple[int, int], times: Times, most: int) -> VideoStream:
    """The encoder counts time in frames of the medium."""
    least, highest = _RATES
    rate = min(max(1 / (times.frame * times.step), Fraction(least)), Fraction(highest))
    bits = max(most - _OF_FILE - _OF_FRAME * len(times.numbers), 0) * 8
    options = {
        "preset": _PRESET,
        "crf": str(_QUALITY),
        "maxrate": _bits(bits * (1 - _BURST) * rate * times.step / times.count),
        "bufsize": _bits(bits * _BURST),
    }
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.time_base = times.frame
    stream.width, stream.height = size
    stream.thread_count = 1
    context = stream.codec_context
    context.time_base = 1 / (rate * times.step)
    context.flags |= Flags.frame_duration
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def _bits(wanted: Fraction) -> str:
    """As x264 can take them: at least a kilobit, and no more than its numbers hold."""
    return str(min(max(int(wanted), 1000), 1_000_000_000))


def _packets(stream: VideoStream, images: Iterator["Image"], times: Times) -> Iterator["Packet[Stream]"]:
    reformatter = VideoReformatter()
    tick = stream.codec_context.time_base
    for number, image in zip(times.numbers, images, strict=True):
        frame = _converted(image, reformatter)
        frame.pts, frame.time_base, frame.duration = number, tick, min(times.step, times.count - number)
        yield from _restamped(stream.encode(frame), times)
    yield from _restamped(stream.encode(None), times)


def _restamped(packets: list["Packet[Stream]"], times: Times) -> list["Packet[Stream]"]:
    for packet in packets:
        packet.time_base = times.frame
    return packets


def _converted(image: "Image", reformatter: VideoReformatter) -> VideoFrame:
    fitted = _fitted(image)
    frame = VideoFrame.from_bytes(fitted.tobytes("raw", "RGBX"), fitted.width, fitted.height)
    return reformatter.reformat(
        frame,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )


def _fitted(image: "Image") -> "Image":
    """With even sides, for which its last column and row come twice; a very narrow one lies on black."""
    from PIL import Image

    width, height = (max(side + side % 2, _LEAST_SIDE) for side in image.size)
    if (width, height) == image.size:
        return image
    fitted = Image.new("RGB", (width, height))
    left, top = (width - image.width) // 2, (height - image.height) // 2
    fitted.paste(image, (left + image.width % 2, top + image.height % 2))
    fitted.paste(image, (left, top))
    return fitted
