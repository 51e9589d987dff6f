"""Pictures made and read by FFmpeg's own codecs, so that Pillow is never held against itself."""

from fractions import Fraction
from functools import cache
from io import BytesIO

import av
from av.video.frame import VideoFrame


@cache
def scene(width: int = 320, height: int = 240) -> bytes:
    """FFmpeg's test picture as rows of red, green and blue: flat colours, gradients, edges, small print."""
    graph = av.filter.Graph()
    source, sink = graph.add("testsrc2", f"size={width}x{height}"), graph.add("buffersink")
    source.link_to(sink)
    graph.configure()
    frame = graph.pull()
    assert isinstance(frame, VideoFrame)
    return rows(frame.reformat(format="rgb24"), 3)


def filled(data: bytes, width: int, height: int, format: str, pixel: int) -> VideoFrame:
    """A frame of FFmpeg's with these rows in it; `pixel`: bytes that each takes."""
    frame = VideoFrame(width, height, format)
    plane, row = frame.planes[0], width * pixel
    padding = bytes(plane.line_size - row)
    plane.update(b"".join(data[at : at + row] + padding for at in range(0, len(data), row)))
    return frame


def rows(frame: VideoFrame, pixel: int) -> bytes:
    """The rows in a frame of FFmpeg's."""
    plane = frame.planes[0]
    data, row = bytes(plane), frame.width * pixel
    return b"".join(data[at : at + row] for at in range(0, frame.height * plane.line_size, plane.line_size))


def as_rgb565(data: bytes, width: int, height: int, format: str) -> bytes:
    """Rows of 24 bits a pixel as FFmpeg makes 16 bits of them, in either byte order."""
    frame = filled(data, width, height, "rgb24", 3)
    return rows(frame.reformat(format="rgb565le").reformat(format=format), 2)


def as_rgb888(data: bytes, width: int, height: int, format: str) -> bytes:
    """RGB565 as FFmpeg converts it. Big-endian goes by way of little-endian: FFmpeg 8.1 makes RGB24 of it as if
    it were that."""
    frame = filled(data, width, height, format, 2)
    return rows(frame.reformat(format="rgb565le").reformat(format="rgb24"), 3)


def shrunk(data: bytes, width: int, height: int, to_width: int, to_height: int) -> bytes:
    """Rows of 24 bits a pixel, brought to another size by averaging areas, as FFmpeg does it."""
    frame = filled(data, width, height, "rgb24", 3)
    return rows(frame.reformat(to_width, to_height, "rgb24", interpolation="AREA"), 3)


@cache
def made(codec: str, width: int = 320, height: int = 240, pixel_format: str = "rgb24") -> bytes:
    """The test picture from FFmpeg's encoder `mjpeg`, `png` or `libwebp`."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, pixel_format
    context.time_base = Fraction(1, 25)  # an encoder does not open without
    frame = filled(scene(width, height), width, height, "rgb24", 3).reformat(format=pixel_format)
    return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))


def decoded(picture: bytes) -> VideoFrame:
    """A picture file as FFmpeg finds and decodes it."""
    with av.open(BytesIO(picture), "r") as container:
        return next(container.decode(video=0))


def seen(picture: bytes) -> tuple[int, int, bytes]:
    """Width, height and rows of red, green and blue, decoded by FFmpeg."""
    frame = decoded(picture)
    return frame.width, frame.height, rows(frame.reformat(format="rgb24"), 3)


def difference(one: bytes, other: bytes) -> float:
    """How far two pictures' bytes are apart, on average; 0 to 255."""
    assert len(one) == len(other)
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
