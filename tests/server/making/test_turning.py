"""Display matrices and Exif say the same eight things, and turning does them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferryman_server.making.turning import of_matrix, turned, turned_size

ONE = 65536


WAYS = [(a, b, b * sign, -a * sign) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1)) for sign in (1, -1)]


@pytest.mark.parametrize("way", WAYS)
def test_a_matrix_moves_points_as_turning_does(way: tuple[int, int, int, int]) -> None:
    """A point of the stored picture comes out where the matrix sends it, moved into the picture."""
    a, b, c, d = way
    image = Image.new("L", (5, 3))
    image.putpixel((4, 1), 255)
    orientation = of_matrix([a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 7, 9, 1 << 30])
    shown = turned(image, orientation)
    assert shown.size == turned_size(image.size, orientation)
    across, down = a * 4 + c * 1, b * 4 + d * 1
    place = across % shown.width if across >= 0 else across + shown.width - 1
    row = down % shown.height if down >= 0 else down + shown.height - 1
    assert shown.getpixel((place, row)) == 255


@given(matrix=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=12))
def test_any_numbers_are_an_orientation(matrix: list[int]) -> None:
    """Matrices that turn by other angles, or are none, leave the picture as it lies."""
    assert 1 <= of_matrix(matrix) <= 8
    if len(matrix) != 9 or 0 not in (matrix[0], matrix[1]):
        assert of_matrix(matrix) == 1
