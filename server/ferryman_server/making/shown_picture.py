"""A decoded picture of a film as a small image: its colours, the shape of its pixels and its orientation right.

The picture goes to its small size in FFmpeg's scaler, which reads the film's own format: nothing as large as the
picture is made besides it.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc, Interpolation
from av.video.stream import VideoStream

from ferryman_server.making.av_memory import room_for_picture
from ferryman_server.making.pq_range import pq_to_sdr
from ferryman_server.making.turning import UPRIGHT, of_matrix, turned

if TYPE_CHECKING:
    from PIL.Image import Image

_UNSPECIFIED: Final = 2  # ITU-T H.273 table 4, MatrixCoefficients
_SD_LINES: Final = 576  # ITU-R BT.601; films of more lines are BT.709's


def orientation_of(frame: VideoFrame) -> int:
    """How it lies, as Exif counts."""
    try:
        matrix = memoryview(cast("Mapping[Type, SideData]", frame.side_data)[Type.DISPLAYMATRIX])
    except KeyError:
        return UPRIGHT
    return of_matrix(matrix.cast("i").tolist() if len(matrix) % 4 == 0 else ())


def shown(frame: VideoFrame, stream: VideoStream, longest: int) -> "Image":
    """In mode RGB, upright, no side longer than `longest` pixels, and nothing enlarged."""
    width, height = _square(frame.width, frame.height, stream.sample_aspect_ratio)
    scale = min(1.0, longest / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    with room_for_picture():
        small = _scaled(frame, *size)
    return turned(small, orientation_of(frame))


def _square(width: int, height: int, aspect: Fraction | None) -> tuple[float, float]:
    """The size in square pixels; the side that is too long becomes shorter."""
    if aspect is None or aspect <= 0:
        return width, height
    return (width, height / float(aspect)) if aspect > 1 else (width * float(aspect), height)


def _scaled(frame: VideoFrame, width: int, height: int) -> "Image":
    """Of a film that does not say by which matrix its colours are coded, it is taken to be the usual one."""
    unspecified = "ITU709" if frame.height > _SD_LINES else "ITU601"
    small = frame.reformat(
        width,
        height,
        "rgb24",
        src_colorspace=unspecified if frame.colorspace == _UNSPECIFIED else None,
        dst_color_range="JPEG",  # full: what pictures have
        interpolation=Interpolation.AREA,
        threads=1,
    )
    image: Image = small.to_image()  # type: ignore[no-untyped-call]
    return image.point(pq_to_sdr()) if frame.color_trc == ColorTrc.SMPTE2084 else image
