"""The eight ways in which a picture may lie, and what brings it upright.

Exif counts them from 1 (Exif 3.0 §4.6.5, Orientation); films have a display matrix, which maps a point (p, q) of the
stored picture, with q downwards, to (a·p + c·q, b·p + d·q) of the shown one (ISO/IEC 14496-12 §6.2.2).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

UPRIGHT: Final = 1
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})
_OF_MATRIX: Final[Mapping[tuple[int, int, int, int], int]] = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}


def of_matrix(matrix: Sequence[int]) -> int:
    """The orientation, as Exif counts, that the nine numbers of a display matrix mean; upright for those that turn by
    other than right angles."""
    if len(matrix) != 9:
        return UPRIGHT
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    return _OF_MATRIX.get((_sign(a), _sign(b), _sign(c), _sign(d)), UPRIGHT)


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height of a picture once it is upright."""
    return (size[1], size[0]) if orientation in _SIDEWAYS else size


def turned(image: "Image", orientation: int) -> "Image":
    """The picture upright."""
    from PIL.Image import Transpose

    ways = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,  # counter-clockwise
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(ways[orientation]) if orientation in ways else image


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
