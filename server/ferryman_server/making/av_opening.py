"""Opening an upload with FFmpeg, which is let do as little as possible before it is known what the file is.

- Demuxers and decoders are those of a list: what people upload, not the hundreds of old games' formats. There is none
  among them that reads other files (playlists, concatenations, picture sequences), a QuickTime file's references to
  others are not followed, and no protocol is allowed.
- The stream's parameters are found without decoding anything: the decoder that FFmpeg would try has no limits.
- Packets that are read meanwhile are not kept: a file can have millions of empty ones. Reading begins anew afterwards.
- Allocations have a limit (`av_memory`).

Whatever a demuxer or decoder raises becomes CannotMake; what the store raised stays what it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import av
import av.logging
from av.container import InputContainer

from ferryman_server.making.av_feed import Feed
from ferryman_server.making.av_memory import bounded
from ferryman_server.making.errors import CannotMake
from ferryman_server.making.stored_file import StoredFile
from ferryman_server.storage.base import StoreError

MOST_SIDE: Final = 8192
"""Pixels: no side of a video may be longer."""

_DEMUXERS: Final = "mov,matroska,avi,mpegts,mpeg,mpegvideo,ogg,wav,w64,aiff,caf,flac,mp3,aac,ac3,amr"
_PICTURES: Final = (
    "h264,hevc,vp8,vp9,libdav1d,av1,mpeg1video,mpeg2video,mpeg4,msmpeg4v2,msmpeg4,h263,mjpeg,theora,prores,dnxhd,ffv1,"
    "rawvideo,dvvideo,qtrle,png,huffyuv,ffvhuff"
)
_SOUNDS: Final = (
    "aac,mp3float,mp3,mp2float,mp2,vorbis,opus,libopus,flac,alac,ac3,eac3,amrnb,amrwb,libopencore_amrnb,"
    "libopencore_amrwb,adpcm_ima_wav,adpcm_ima_qt,adpcm_ms,pcm_alaw,pcm_mulaw,pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,"
    "pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_s64le,pcm_s64be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_f16le,"
    "pcm_bluray,pcm_dvd"
)
DECODERS: Final = frozenset(f"{_PICTURES},{_SOUNDS}".split(","))
"""FFmpeg's names of those that are let decode."""

PIXEL_LIMIT: Final = str(MOST_SIDE * MOST_SIDE)
"""As an option of decoders: the same for a header that lies in the coded stream."""
_OPTIONS: Final = {
    "format_whitelist": _DEMUXERS,
    "protocol_whitelist": "none",
    "codec_whitelist": "none",  # of those that FFmpeg opens by itself; DECODERS are those that we do
    "enable_drefs": "0",
    "probesize": str(2 << 20),  # bytes
    "analyzeduration": "5000000",  # microseconds
    "max_pixels": PIXEL_LIMIT,
    # nobuffer: the packets are not kept; fastseek: an MP3 file is not read from its beginning to where it is wanted
    "fflags": "+nobuffer+fastseek",
}
_MOST_STREAMS: Final = 16  # each may have an index; a Matroska file, in which they are small, has one for each language
_MOST_OF_MATROSKA: Final = 100

av.logging.set_level(None)


@contextmanager
def opened(file: StoredFile, what: str, budget: int) -> Iterator[tuple[InputContainer, Feed]]:
    """A container, and what it is read through; `what` it should be in words (`video`), and how many bytes of it may be
    fetched. Raises CannotMake and StoreError, also for what is raised inside."""
    feed = Feed(file, budget)
    file.seek(0)
    try:
        with bounded(), _container(feed, what) as container:
            to_beginning(container)
            yield container, feed
    except (CannotMake, StoreError):
        file.check()
        raise
    except MemoryError as error:
        file.check()
        raise CannotMake(f"it is no {what} that can be read: it would take too much memory") from error
    except Exception as error:  # it may be anything
        file.check()
        raise CannotMake(f"it is no {what} that can be read: it is damaged, or ends too early") from error
    file.check()


def to_beginning(container: InputContainer) -> None:
    """Read from the beginning next, as far as the container lets one."""
    try:
        container.seek(0)
    except av.FFmpegError:
        with suppress(av.FFmpegError):
            container.seek(0, unsupported_byte_offset=True)


def _container(feed: Feed, what: str) -> InputContainer:
    try:
        most = _MOST_OF_MATROSKA if feed.begins_with(b"\x1aE\xdf\xa3", 0) else _MOST_STREAMS
        return av.open(feed, "r", options={**_OPTIONS, "max_streams": str(most)}, metadata_errors="replace")
    except MemoryError:
        raise
    except Exception as error:
        if feed.begins_with(b"ftyp", 4):
            raise CannotMake(
                f"it is no {what} that can be read: it begins like MP4 or MOV, but its index is missing or damaged, as "
                "in a recording or a copy that was broken off"
            ) from error
        raise CannotMake(
            f"it is no {what} that can be read: it does not begin like MP4, MOV, WebM, MKV, AVI, MPEG, Ogg, WAV, AIFF, "
            "FLAC, MP3, AAC or CAF, or its beginning is damaged"
        ) from error
