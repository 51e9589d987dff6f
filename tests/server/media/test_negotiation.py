"""Which form of a frame is chosen by Accept and Accept-Encoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.frame_formats import Format
from ferryman_server.media.negotiation import PICTURE_TYPES, chosen_form, offers, takes_gzip

RAW = Format.RGB565LE
CHROME_IMAGE = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX_IMAGE = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"


@pytest.mark.parametrize(
    ("accept", "own", "form"),
    [
        # nothing is said: the frame's own bytes
        (None, RAW, "own"),
        ("", RAW, "own"),
        ("*/*", RAW, "own"),
        ("*/*;q=0.1", Format.PNG, "own"),
        # one type
        ("image/png", RAW, "png"),
        ("IMAGE/PNG", RAW, "png"),
        ("image/jpeg", RAW, "jpeg"),
        ("image/webp", RAW, "webp"),
        ("image/bmp", RAW, "bmp"),
        ("application/octet-stream", RAW, "own"),
        ("application/*", RAW, "own"),
        ("image/png", Format.PNG, "own"),
        ("image/jpeg", Format.PNG, "jpeg"),
        # those that are liked equally: own bytes, PNG, JPEG, WebP, BMP
        ("image/*", RAW, "png"),
        ("image/*", Format.JPEG, "own"),
        ("image/bmp, image/webp, image/jpeg", RAW, "jpeg"),
        ("image/bmp, image/webp", RAW, "webp"),
        ("image/*, application/octet-stream", RAW, "own"),
        (CHROME_IMAGE, RAW, "png"),
        (CHROME_IMAGE, Format.JPEG, "own"),
        (FIREFOX_IMAGE, RAW, "png"),
        (FIREFOX_IMAGE, Format.JPEG, "png"),
        # weights
        ("image/png;q=0.5, image/jpeg;q=0.501", RAW, "jpeg"),
        ("image/png ; Q=0.5 , image/webp;q=0.4", RAW, "png"),
        ("*/*;q=0.9, image/webp", RAW, "webp"),
        ("image/jpeg;q=0.2, image/jpeg;q=0.9, image/png;q=0.5", RAW, "jpeg"),
        # the most specific range counts, also where it says less or no
        ("image/*, image/png;q=0.1", RAW, "jpeg"),
        ("*/*, image/*;q=0", RAW, "own"),
        ("*/*, application/octet-stream;q=0", RAW, "png"),
        ("*/*;q=1, application/*;q=0.5, image/*;q=0.4", RAW, "own"),
        # nothing that there is
        ("image/gif", RAW, None),
        ("text/html, text/*;q=0.3", RAW, None),
        ("image/png;q=0", RAW, None),
        ("*/*;q=0", RAW, None),
        ("application/octet-stream", Format.PNG, None),
        ("image/png;level=1", RAW, None),
        ('image/png;note="a, image/png, b"', RAW, None),
        # what follows the weight means nothing (RFC 9110, appendix B.3)
        ("image/png;q=0.5;level=1", RAW, "png"),
        # what cannot be understood is passed over
        ("png, image/jpeg", RAW, "jpeg"),
        ("image/png;q=2, image/webp", RAW, "webp"),
        ("image/png;q=0.1234, image/webp", RAW, "webp"),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", RAW, "jpeg"),
        (",,; ,image/jpeg,", RAW, "jpeg"),
        ("nonsense", RAW, "own"),
        ('"', RAW, "own"),
        ('image/png, image/webp;x="never closed, image/jpeg', RAW, "png"),
    ],
)
def test_the_form_that_is_liked_best(accept: str | None, own: Format, form: str | None) -> None:
    """Of what there is, the client gets what it has given the most weight; of equals the cheapest."""
    assert chosen_form(accept, own) == form


@given(
    own=st.sampled_from(Format),
    weights=st.dictionaries(st.sampled_from(list(PICTURE_TYPES.values())), st.integers(0, 1000), min_size=1),
)
def test_nothing_is_sent_that_is_liked_less_than_another(own: Format, weights: dict[str, int]) -> None:
    """With a weight for each type, the one that is sent has the highest, and never 0."""
    accept = ", ".join(f"{name};q={weight / 1000:.3f}" for name, weight in weights.items())
    form, there = chosen_form(accept, own), offers(own)
    best = max((weights.get(media_type, 0) for media_type in there.values()), default=0)
    assert (form is None) == (best == 0)
    if form is not None:
        assert weights[there[form]] == best


@given(accept=st.text(st.characters(max_codepoint=255)) | st.text(alphabet='image/png*;,="\\q0.51 '))
def test_any_accept_has_an_answer(accept: str) -> None:
    """Whatever stands there, it is one of the forms or none, and nothing is raised."""
    assert chosen_form(accept, RAW) in (None, *offers(RAW))


def test_a_long_accept_takes_no_longer_than_it_is() -> None:
    """Quotes that are never closed are read once, not once for each of them."""
    assert chosen_form('"\\' * 100_000, RAW) == "own"


def test_a_picture_is_not_offered_twice() -> None:
    """What a frame is already is not made of it."""
    assert list(offers(Format.PNG)) == ["own", "jpeg", "webp", "bmp"]
    assert list(offers(RAW)) == ["own", "png", "jpeg", "webp", "bmp"]


@pytest.mark.parametrize(
    ("accept_encoding", "taken"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0.0", False),
        ("gzip;q=0.001", True),
        ("br, zstd", False),
        ("identity", False),
        ("identity;q=0.5, gzip", True),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0, gzip", True),
        ("gzip;q=nonsense", False),
        ("gzip gzip", False),
    ],
)
def test_who_takes_gzip(accept_encoding: str | None, taken: bool) -> None:
    """Only who says so (RFC 9110 §12.5.3), and not who would rather have the plain bytes."""
    assert takes_gzip(accept_encoding) is taken
