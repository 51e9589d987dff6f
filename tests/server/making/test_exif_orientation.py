"""Orientations are found without a decoder, and nothing else is taken for one."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ferryman_server.making.exif_orientation import of_exif, orientation_of
from ferryman_server.media.frame_formats import Format
from tests.server.making.media_files_rig import corners, exif, saved

FORMS = [("PNG", Format.PNG), ("JPEG", Format.JPEG), ("WEBP", Format.WEBP)]


@pytest.mark.parametrize(("form", "known"), FORMS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_found(form: str, known: Format, orientation: int) -> None:
    """Wherever a format keeps its Exif."""
    data = saved(corners(), form, exif=exif(orientation))
    assert orientation_of(BytesIO(data), known) == orientation
    assert orientation_of(BytesIO(saved(corners(), form)), known) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str) -> None:
    """Exif has either; other fields may come first."""
    fields = Image.Exif()
    fields.endian = order
    fields[0x010F], fields[0x0112], fields[0x0131] = "maker", 8, "program"
    assert of_exif(fields.tobytes()) == 8


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_what_is_no_orientation_means_upright(value: int) -> None:
    """There are eight."""
    assert of_exif(exif(value)) == 1


@given(data=st.binary(max_size=200), cut=st.integers(0, 400), form=st.sampled_from(FORMS))
def test_any_bytes_have_one(data: bytes, cut: int, form: tuple[str, Format]) -> None:
    """Whatever stands there, it is one of eight and nothing is raised."""
    whole = saved(corners(), form[0], exif=exif(6))
    for content in (data, b"II*\0" + data, b"Exif\0\0MM\0*" + data):
        assert 1 <= of_exif(content) <= 8
    for content in (data, whole[:cut] + data, whole[:cut]):
        assert 1 <= orientation_of(BytesIO(content), form[1]) <= 8
