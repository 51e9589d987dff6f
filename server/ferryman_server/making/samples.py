"""The samples of a sound, decoded: 32-bit numbers with sign, those of all channels beside one another."""

from collections.abc import Iterable, Iterator
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream

_FORMAT: Final = "s32"


def samples(stream: AudioStream, packets: "Iterable[Packet[Stream]]", block: int = 0) -> Iterator[AudioFrame]:
    """Frames of `block` samples a channel (0: as they are coded) from these packets; what is damaged is passed over."""
    resampler = AudioResampler(_FORMAT, frame_size=block or None)
    for packet in packets:
        for frame in _decoded(stream, packet):
            try:
                yield from resampler.resample(frame)
            except (av.FFmpegError, ValueError):  # the sound has another rate or other channels from here on
                resampler = AudioResampler(_FORMAT, frame_size=block or None)
                yield from resampler.resample(frame)
    if block:
        try:
            yield from resampler.resample(None)
        except (av.FFmpegError, ValueError, AttributeError):  # there was nothing at all
            return


def _decoded(stream: AudioStream, packet: "Packet[Stream]") -> list[AudioFrame]:
    try:
        frames = stream.codec_context.decode(packet)
    except av.FFmpegError:
        return []
    return [frame for frame in frames if frame.samples]
