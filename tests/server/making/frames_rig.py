"""Media of a few frames, and what FFmpeg sees in the films that were made of them."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Final
from zipfile import ZipFile

import av
from av.video.frame import VideoFrame
from PIL.Image import Image

from ferryman_server.making.frames_source import FramesSource
from ferryman_server.media.frame_formats import Format
from ferryman_server.storage.base import StoreError
from tests.server.media import picture_rig
from tests.support import archive

Colour = tuple[int, int, int]

ROOM: Final = 300_000  # bytes: what the film of a small medium may take
_CODECS: Final = {
    Format.PNG: ("png", "rgb24", {}),
    Format.JPEG: ("mjpeg", "yuvj444p", {"qscale": "1"}),
    Format.WEBP: ("libwebp", "bgra", {"lossless": "1"}),
}


def source(
    frames: Sequence[bytes], format: Format, width: int, height: int, *, fps: float = 25.0, count: int | None = None
) -> FramesSource:
    """A medium of these frames, or of `count` for which these come again and again."""
    return reading(lambda number: frames[number % len(frames)], format, width, height, fps, count or len(frames))


def reading(
    read: Callable[[int], bytes], format: Format, width: int, height: int, fps: float, count: int
) -> FramesSource:
    """A medium whose frames are told by their numbers."""
    return FramesSource(
        count=count,
        format=format,
        width=width,
        height=height,
        fps=fps,
        read=lambda numbers: (read(number) for number in numbers),
    )


def failing(after: int, *, count: int = 40) -> FramesSource:
    """A medium on a store that fails after so many frames."""

    def read(number: int) -> bytes:
        if number >= after:
            raise StoreError("the disk is gone")
        return flat((0, 128, 255), 40, 30)

    return reading(read, Format.RGB888, 40, 30, 25.0, count)


def flat(colour: Colour, width: int, height: int, format: Format = Format.RGB888) -> bytes:
    """A frame of one colour."""
    return frame(bytes(colour) * (width * height), width, height, format)


def frame(rows: bytes, width: int, height: int, format: Format) -> bytes:
    """A frame of these rows of red, green and blue; pictures from FFmpeg's encoders."""
    if format is Format.RGB888:
        return rows
    if format in (Format.RGB565LE, Format.RGB565BE):
        return picture_rig.as_rgb565(rows, width, height, format.value)
    name, pixels, options = _CODECS[format]
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.options = width, height, pixels, options
    context.time_base, context.thread_count = Fraction(1, 25), 1  # from several threads libjpeg does not read it
    picture = picture_rig.filled(rows, width, height, "rgb24", 3)
    picture = picture.reformat(format=pixels, dst_colorspace="ITU601", dst_color_range="JPEG")
    return b"".join(bytes(packet) for packet in (*context.encode(picture), *context.encode(None)))


def real() -> FramesSource:
    """200 frames of a film, of 320×180 pixels in RGB565."""
    with ZipFile(archive.frames_archive()) as opened:
        frames = [opened.read(name) for name in sorted(opened.namelist()) if name.startswith("frames/")]
    return source(frames, Format.RGB565LE, archive.WIDTH, archive.HEIGHT)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in a film."""

    width: int  # pixels
    height: int
    duration: Fraction  # seconds, as the file says
    frames: Sequence[VideoFrame]

    @property
    def ends(self) -> Fraction:
        """When the last frame is over, in seconds."""
        last = self.frames[-1]
        assert last.pts is not None
        assert last.time_base is not None
        return (last.pts + last.duration) * last.time_base

    def colour(self, number: int, x: int, y: int) -> Colour:
        """Of a pixel of a frame."""
        seen = self.frames[number]
        rows = rgb(seen)
        red, green, blue = rows[(y * seen.width + x) * 3 :][:3]
        return red, green, blue

    def middle(self, number: int) -> Colour:
        """The colour in the middle of a frame."""
        return self.colour(number, self.width // 2, self.height // 2)


def seen(film: bytes) -> Seen:
    """A film as FFmpeg decodes it, by what it says of its colours."""
    with av.open(BytesIO(film), "r") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.duration is not None
        assert stream.time_base is not None
        duration = stream.duration * stream.time_base
        return Seen(stream.width, stream.height, duration, list(container.decode(video=0)))


def jpeg(picture: bytes) -> tuple[int, int, bytes]:
    """Width, height and rows of a JPEG picture. It is said to be one, since FFmpeg guesses wrong once in a while."""
    with av.open(BytesIO(picture), "r", format="jpeg_pipe") as container:
        found = next(container.decode(video=0))
        return found.width, found.height, rgb(found)


def rgb(picture: VideoFrame) -> bytes:
    """The rows of red, green and blue in a frame of FFmpeg's."""
    return picture_rig.rows(picture.reformat(format="rgb24"), 3)


def boxes(film: bytes) -> list[str]:
    """The types of an MP4 file's boxes, in order."""
    found, at = [], 0
    while at < len(film):
        size, kind = struct.unpack_from(">I4s", film, at)
        found.append(kind.decode())
        at += size
    return found


def chunks(webp: bytes) -> Iterator[tuple[str, bytes]]:
    """A WebP file's chunks (RFC 9649 2.3)."""
    at = 12
    while at < len(webp):
        kind, size = struct.unpack_from("<4sI", webp, at)
        yield kind.decode(), webp[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def pixel(image: Image, x: int, y: int) -> Colour:
    """A pixel of an image in red, green and blue."""
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    red, green, blue = found
    return red, green, blue


def near(one: Colour, other: Colour, by: int = 8) -> bool:
    """Whether two colours are alike."""
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))


def transparent(colour: tuple[int, int, int, int], width: int, height: int) -> bytes:
    """A PNG picture of one colour, the last of its four parts being how opaque it is."""
    context = av.CodecContext.create("png", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = width, height, "rgba", Fraction(1, 25)
    picture = picture_rig.filled(bytes(colour) * (width * height), width, height, "rgba", 4)
    return b"".join(bytes(packet) for packet in (*context.encode(picture), *context.encode(None)))
