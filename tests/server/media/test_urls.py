"""URLs of frames: what is written is read again, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.urls import (
    SUFFIXES,
    FrameName,
    FramesName,
    frame_url,
    read_frame,
    read_number,
    thumb_url,
)

NUMBERS = st.integers(0, 999_999_999)


@given(n=NUMBERS, generation=NUMBERS, suffix=st.sampled_from(["", *SUFFIXES]))
def test_what_is_written_is_read(n: int, generation: int, suffix: str) -> None:
    """The URL of a frame has the generation, and means that frame with that suffix."""
    path, _, query = frame_url("film", generation, n, suffix).partition("?")
    assert query == f"g={generation}"
    assert read_frame(path.removeprefix("/media/film/frames/")) == FrameName(n, suffix or None)


def test_the_urls_as_they_look() -> None:
    """What the JSON API tells."""
    assert frame_url("big-film", 7, 12, "png") == "/media/big-film/frames/12.png?g=7"
    assert frame_url("big-film", 7, 0, "") == "/media/big-film/frames/0?g=7"
    assert thumb_url("big-film", 7, 12) == "/media/big-film/thumbs/12.jpg?size=160&g=7"
    assert thumb_url("big-film", 7, 12, 320) == "/media/big-film/thumbs/12.jpg?size=320&g=7"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("0", FrameName(0, None)),
        ("0.raw", FrameName(0, "raw")),
        ("999999999.webp", FrameName(999_999_999, "webp")),
        ("3.jpg", FrameName(3, "jpg")),
        ("3.jpeg", FrameName(3, "jpeg")),
        ("0-0.raw", FramesName(0, 0)),
        ("3-12.raw", FramesName(3, 12)),
        ("12-3.raw", FramesName(12, 3)),
    ],
)
def test_frames_by_their_addresses(text: str, name: FrameName | FramesName) -> None:
    """One frame, with a suffix or without, or raw frames from one to another."""
    assert read_frame(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "+1", "00", "01", "1000000000", "1e3", "0x1", "٣", "²", "1 ", " 1", "1\n", "a", "latest"),
        *("1.", "1.gif", "1.PNG", "1.png.png", "1..png", ".png", "1.raw1", "01.png"),
        *("1-2", "1-2.png", "1-.raw", "-2.raw", "1-2-3.raw", "01-2.raw", "1-02.raw", "1-2.raw ", "1–2.raw"),
    ],
)
def test_what_is_no_frame(text: str) -> None:
    """Numbers have up to nine digits, none of them a needless zero; suffixes are ours, in lower case."""
    assert read_frame(text) is None


@given(st.text(max_size=12))
def test_a_number_is_read_only_as_it_is_written(text: str) -> None:
    """Each number has one address."""
    number = read_number(text)
    assert number is None or str(number) == text
