"""The lowest and the highest sample of each stretch of a sound, for any number of samples, in a fixed room.

Stretches begin short; when there are more than have room, each two become one. So nobody has to know in advance how
long the sound is. Samples are 32 bits with sign; Pillow, which has them as pixels, finds their extremes.
"""

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Peak: TypeAlias = tuple[int, int]
"""Lowest and highest, of all channels."""

FULL_SCALE: Final = 1 << 31

_SHORTEST: Final = 32  # samples of a stretch, at first
_BYTES: Final = 4


def extremes(samples: memoryview) -> Peak:
    """Of one sample at least, 32 bits each."""
    from PIL import Image

    image = Image.frombuffer("I", (len(samples) // _BYTES, 1), bytes(samples), "raw", "I", 0, 1)
    low, high = image.getextrema()
    assert isinstance(low, int)
    assert isinstance(high, int)
    return low, high


def samples_of(frame: "AudioFrame") -> memoryview:
    """Those of a frame in the format s32, all channels, without what it has beyond them."""
    count = frame.samples * frame.layout.nb_channels
    return memoryview(frame.planes[0])[: count * _BYTES]


def joined(one: Peak, other: Peak) -> Peak:
    """Of both stretches together."""
    return min(one[0], other[0]), max(one[1], other[1])


class Peaks:
    """Takes a sound from its beginning to its end."""

    def __init__(self, room: int) -> None:
        """`room`: no more stretches than these; there are half as many at least, if the sound is not very short."""
        self._room = room
        self._stretch = _SHORTEST  # samples
        self._missing = 0  # samples until the last stretch is whole
        self._found: list[Peak] = []

    def add(self, samples: memoryview, channels: int) -> None:
        """What comes next: samples of 32 bits, those of all channels beside one another."""
        width = channels * _BYTES
        at, count = 0, len(samples) // width
        while at < count:
            if not self._missing:
                self._begin()
            step = min(self._missing or self._stretch, count - at)
            peak = extremes(samples[at * width : (at + step) * width])
            if self._missing:
                self._found[-1] = joined(self._found[-1], peak)
            else:
                self._found.append(peak)
                self._missing = self._stretch
            self._missing -= step
            at += step

    def _begin(self) -> None:
        """Make room for one more stretch."""
        if len(self._found) < self._room:
            return
        pairs = iter(self._found)
        self._found = [joined(*pair) for pair in zip(pairs, pairs, strict=True)]
        self._stretch *= 2

    def columns(self, count: int) -> list[Peak]:
        """All there was, in so many columns of the same width; none: there was nothing."""
        found = self._found
        if not found:
            return []
        return [self._column(place, count) for place in range(count)]

    def _column(self, place: int, count: int) -> Peak:
        begins = place * len(self._found) // count
        ends = max(begins + 1, (place + 1) * len(self._found) // count)
        peak = self._found[begins]
        for other in self._found[begins + 1 : ends]:
            peak = joined(peak, other)
        return peak
