"""A sound as a picture: 800 columns from the lowest to the highest sample, on a transparent ground.

The height is full scale, and every column has 0 in it; of several channels the loudest counts, so that what is in only
one of them, or against another, is seen. Silence is a thin line. A file that is not large is decoded as a whole; of a
large one, or of one that goes on for hours however small it is, each column is a moment.
"""

from io import BytesIO
from typing import Final

from av.audio.stream import AudioStream
from av.container import InputContainer

from ferryman_server.making.av_feed import Feed
from ferryman_server.making.av_opening import opened
from ferryman_server.making.av_streams import audio_of, packets_of, prepare
from ferryman_server.making.errors import CannotMake
from ferryman_server.making.peaks import FULL_SCALE, Peak, Peaks, samples_of
from ferryman_server.making.samples import samples
from ferryman_server.making.sound_moments import moments, without_gaps
from ferryman_server.making.stored_file import StoredFile

WIDTH: Final = 800  # pixels
HEIGHT: Final = 120
LEAST: Final = 16384
"""Bytes: no waveform takes more, at one bit a pixel."""

_COLOUR: Final = (0x5F, 0x7C, 0xA3)  # contrast 4.3 to white and 4.9 to black (WCAG 2.2, 1.4.11 asks for 3)
_WHOLE: Final = 32 << 20  # bytes of a file that is decoded as a whole
_MOST_SAMPLES: Final = 1 << 30  # of all channels that are decoded then: three hours in stereo
_BLOCK: Final = 16384  # samples of a channel that are looked at together
_AFTER_JUMP: Final = 32 << 10  # bytes to fetch
_BUDGET: Final = 96 << 20  # bytes that are read, at most


def waveform(file: StoredFile, most: int) -> bytes:
    """A PNG of 800×120 pixels. Raises CannotMake, the StoreError of the file, and ValueError where `most`, the bytes
    that it may take, are fewer than it may need: 16384."""
    if most < LEAST:
        raise ValueError(f"a waveform cannot always be brought into {most} bytes; {LEAST} are the least")
    with opened(file, "audio file", _BUDGET) as (container, feed):
        stream = audio_of(container)
        if stream is None:
            raise CannotMake("it is no audio file that can be read: there is no sound in it")
        prepare(container, stream)
        columns = _columns(container, stream, feed, file)
        if not columns:
            raise CannotMake("it is no audio file that can be read: none of its sound could be decoded")
        return drawn(columns)


def drawn(columns: list[Peak]) -> bytes:
    """A PNG of these columns, one pixel wide each."""
    from PIL import Image, ImageDraw

    image = Image.new("P", (len(columns), HEIGHT), 0)
    image.putpalette([0, 0, 0, *_COLOUR])
    draw = ImageDraw.Draw(image)
    for place, (low, high) in enumerate(columns):
        draw.line((place, _row(max(high, 0)), place, _row(min(low, 0))), fill=1)
    out = BytesIO()
    image.save(out, "PNG", transparency=0, bits=1, optimize=True)
    return out.getvalue()


def _row(sample: int) -> int:
    """The first for the highest sample there can be, the last for the lowest."""
    return (FULL_SCALE - 1 - sample) * HEIGHT // (2 * FULL_SCALE)


def _columns(container: InputContainer, stream: AudioStream, feed: Feed, file: StoredFile) -> list[Peak]:
    if file.size <= _WHOLE:
        peaks = Peaks(2 * WIDTH)
        if _whole(container, stream, peaks):
            return peaks.columns(WIDTH)
    file.piece = min(file.piece, _AFTER_JUMP)
    return without_gaps(moments(container, stream, feed, file.size, WIDTH))


def _whole(container: InputContainer, stream: AudioStream, peaks: Peaks) -> bool:
    """Decode it to its end; False: that would take too long."""
    left = _MOST_SAMPLES
    for frame in samples(stream, packets_of(container, stream), _BLOCK):
        channels = frame.layout.nb_channels
        peaks.add(samples_of(frame), channels)
        left -= frame.samples * channels
        if left < 0:
            return False
    return True
