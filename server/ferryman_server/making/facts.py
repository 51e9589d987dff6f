"""What is found in the bytes of a video, a sound or an image: size, frame rate, duration.

A video's and an image's width and height are those of the picture once it is upright; the shape of a video's pixels
does not count. Nothing that the container says is repeated where it cannot be true.
"""

from fractions import Fraction
from typing import BinaryIO, Final, cast

from av.container import InputContainer
from av.video.stream import VideoStream

from ferryman_server.making.animation import running_time
from ferryman_server.making.av_feed import Feed
from ferryman_server.making.av_opening import opened
from ferryman_server.making.av_streams import audio_of, duration_of, is_decoded, prepare, video_of
from ferryman_server.making.errors import CannotMake
from ferryman_server.making.image_opening import MOST_BYTES, header_of, reading
from ferryman_server.making.key_pictures import first_picture
from ferryman_server.making.shown_picture import orientation_of
from ferryman_server.making.stored_file import StoredFile
from ferryman_server.making.turning import turned_size
from ferryman_server.state.media import Facts, Kind

_BUDGET: Final = 64 << 20  # bytes that are read of a file, at most
_MOST_RATE: Final = 1000  # frames a second; above, it is the clock's rate


def facts_of(file: StoredFile, kind: Kind) -> Facts:
    """Raises CannotMake where it is not what its kind says, and the StoreError of the file."""
    if kind == "video":
        return _of_video(file)
    if kind == "audio":
        return _of_audio(file)
    return _of_image(file) if kind == "image" else Facts()


def _of_video(file: StoredFile) -> Facts:
    with opened(file, "video", _BUDGET) as (container, feed):
        stream = video_of(container)
        if stream is None:
            sound = audio_of(container)
            if sound is None:
                raise CannotMake("it is no video that can be read: there are neither moving pictures nor sound in it")
            return Facts(duration=duration_of(container, sound, feed, file.size))
        rate = _rate(stream.average_rate) or _rate(stream.guessed_rate)
        width, height = _upright_size(container, stream, feed)
        feed.allow(_BUDGET)
        duration = duration_of(container, stream, feed, file.size)
        return Facts(width=width or None, height=height or None, fps=rate, duration=duration)


def _upright_size(container: InputContainer, stream: VideoStream, feed: Feed) -> tuple[int, int]:
    """Only a decoded picture tells how it lies; where it is coded as nothing that is decoded here, it lies as it is."""
    if not is_decoded(stream):
        context = stream.codec_context
        return (context.width, context.height) if context is not None else (0, 0)
    prepare(container, stream)
    frame = first_picture(container, stream, feed)
    if frame is None:
        raise CannotMake("it is no video that can be read: none of its pictures could be decoded")
    return turned_size((frame.width, frame.height), orientation_of(frame))


def _of_audio(file: StoredFile) -> Facts:
    with opened(file, "audio file", _BUDGET) as (container, feed):
        stream = audio_of(container)
        if stream is None:
            raise CannotMake("it is no audio file that can be read: there is no sound in it")
        return Facts(duration=duration_of(container, stream, feed, file.size))


def _of_image(file: StoredFile) -> Facts:
    with reading(file):
        header = header_of(file)
        width, height = turned_size((header.width, header.height), header.orientation)
        count, duration = running_time(cast(BinaryIO, file)) if file.size <= MOST_BYTES else (0, 0.0)
        if not count:
            return Facts(width=width, height=height)
        return Facts(width=width, height=height, fps=round(count / duration, 3), duration=duration)


def _rate(said: Fraction | None) -> float | None:
    return float(said) if said is not None and 0 < said <= _MOST_RATE else None
