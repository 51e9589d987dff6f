"""Videos, sounds and images made by FFmpeg's, Python's and Pillow's own writers, and stores that they are read from."""

import math
import struct
from array import array
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from io import BytesIO
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from ferryman_server.making.stored_file import StoredFile

RATE = 25  # frames a second of all films
SOUND_RATE = 48000  # samples a second


def stored(data: bytes, piece: int = 65536) -> StoredFile:
    """These bytes in a store, which gives them in pieces."""

    def read(start: int, stop: int) -> Iterator[memoryview]:
        view = memoryview(data)[start:stop]
        for at in range(0, len(view), 10_000):
            yield view[at : at + 10_000]

    return StoredFile(read, len(data), piece)


def pattern(count: int, width: int, height: int) -> Iterator[VideoFrame]:
    """FFmpeg's test picture: six bars, red at the left, cyan at the right."""
    graph = av.filter.Graph()
    source, sink = graph.add("testsrc2", f"size={width}x{height}:rate={RATE}"), graph.add("buffersink")
    source.link_to(sink)
    graph.configure()
    for _ in range(count):
        frame = graph.pull()
        assert isinstance(frame, VideoFrame)
        yield frame


def plain(width: int, height: int, level: int, form: str = "yuv420p") -> VideoFrame:
    """A grey frame; `level`: what stands in its luma plane, in which chroma's zero is half of the range."""
    deep = "10" in form
    frame = VideoFrame(width, height, form)
    for plane, value in zip(frame.planes, (level, *(512 if deep else 128,) * 2), strict=True):
        content = (
            array("H", [value]).tobytes() * (plane.buffer_size // 2) if deep else bytes([value]) * plane.buffer_size
        )
        plane.update(content)
    return frame


def written(
    frames: Iterator[VideoFrame] | list[VideoFrame],
    codec: str = "libx264",
    form: str = "mp4",
    *,
    pixels: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    coding: Mapping[str, str] | None = None,
    rotation: tuple[float, bool] | None = None,
    **context: Any,
) -> bytes:
    """A film of these frames; `rotation`: degrees counter-clockwise and whether it is mirrored then; `context`: what is
    set in the encoder."""
    out = BytesIO()
    with av.open(out, "w", format=form, options=dict(options or {})) as container:
        stream: Any = None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=RATE, options={"g": "10", **(coding or {})})
                assert isinstance(stream, VideoStream)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixels
                for name, value in context.items():
                    setattr(stream.codec_context, name, value)
                if rotation is not None:
                    stream.set_display_rotation(rotation[0], hflip=rotation[1])
            ready = frame if frame.format.name == pixels else frame.reformat(format=pixels)
            ready.pts, ready.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return out.getvalue()


@cache
def film(codec: str = "libx264", form: str = "mp4", count: int = 25, width: int = 96, height: int = 64) -> bytes:
    """The test picture, moving, with a key picture every ten."""
    quick = {"libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}, "libx265": {"x265-params": "log-level=none"}}
    return written(pattern(count, width, height), codec, form, coding=quick.get(codec))


def index_first(data: bytes) -> bytes:
    """An MP4 file of one stream whose index comes last, with the index before the pictures."""
    begins, pictures = data.index(b"moov") - 4, data.index(b"mdat") - 4
    index = bytearray(data[begins:])
    at = index.index(b"stco") + 8
    (count,) = struct.unpack_from(">I", index, at)
    for place in range(at + 4, at + 4 + 4 * count, 4):
        struct.pack_into(">I", index, place, struct.unpack_from(">I", index, place)[0] + len(index))
    return data[:pictures] + bytes(index) + data[pictures:begins]


@cache
def swelling(seconds: float, channels: int = 2) -> bytes:
    """16-bit samples of a tone that grows from nothing to all there is; the second channel has half of it."""
    count = int(seconds * SOUND_RATE)
    samples = array("h")
    for place in range(count):
        value = int(32767 * place / count * math.sin(place * 0.3))
        samples.extend((value, value // 2)[:channels])
    return samples.tobytes()


@cache
def sound(codec: str, form: str, seconds: float = 1.0) -> bytes:
    """The swelling tone, coded."""
    out = BytesIO()
    data = swelling(seconds)
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream(codec, rate=SOUND_RATE, layout="stereo")
        assert isinstance(stream, AudioStream)
        context = stream.codec_context
        resampler = AudioResampler(context.format.name, "stereo", SOUND_RATE, context.frame_size or 1024)
        frame = AudioFrame("s16", "stereo", len(data) // 4)
        frame.planes[0].update(data)
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
        for piece in (frame, None):
            for ready in resampler.resample(piece):
                container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return out.getvalue()


def wav(
    data: bytes, *, bits: int = 16, channels: int = 2, coding: int = 1, rate: int = SOUND_RATE, said: int | None = None
) -> bytes:
    """A WAV file; `coding`: 1 for whole numbers, 3 for floating point; `said`: what its size fields say."""
    width = channels * bits // 8
    fields = struct.pack("<HHIIHH", coding, channels, rate, rate * width, width, bits)
    riff, size = (36 + len(data), len(data)) if said is None else (said, said)
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", len(fields)) + fields
    return head + b"data" + struct.pack("<I", size) + data


def rf64(data: bytes) -> bytes:
    """A WAV file in the form for more than 4 GiB (EBU Tech 3306), 16 bits, stereo."""
    sizes = struct.pack("<QQQI", 72 + len(data), len(data), len(data) // 4, 0)
    usual = wav(data, said=0xFFFFFFFF)
    return b"RF64" + usual[4:12] + b"ds64" + struct.pack("<I", len(sizes)) + sizes + usual[12:]


def corners(width: int = 80, height: int = 40) -> Image.Image:
    """Green and blue above, red below: each way of turning it can be told from the others."""
    image = Image.new("RGB", (width, height), (200, 0, 0))
    image.paste((0, 200, 0), (0, 0, width // 2, height // 2))
    image.paste((0, 0, 200), (width // 2, 0, width, height // 2))
    return image


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """As Pillow writes it."""
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def exif(orientation: int) -> bytes:
    """Exif with nothing but that."""
    fields = Image.Exif()
    fields[0x0112] = orientation
    return fields.tobytes()


def seen(picture: bytes) -> Image.Image:
    """A picture as Pillow reads it."""
    with Image.open(BytesIO(picture)) as image:
        image.load()
        return image


def named(colour: Any) -> str:
    """Which of some colours this pixel is nearest to."""
    known = {
        "red": (220, 0, 0),
        "green": (0, 220, 0),
        "blue": (0, 0, 220),
        "yellow": (230, 230, 0),
        "magenta": (230, 0, 230),
        "cyan": (0, 230, 230),
        "black": (0, 0, 0),
        "white": (255, 255, 255),
    }
    return min(known, key=lambda name: sum((a - b) ** 2 for a, b in zip(known[name], colour, strict=True)))
