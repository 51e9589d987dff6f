"""Numbered pictures of one format and size are frames without a metadata.json; all else is an ordinary archive."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferryman_server.media.frame_formats import Format
from ferryman_server.media.frame_set import FrameSet
from ferryman_server.media.picture_size import PictureSize
from tests.server.media.frame_archives import PNG_SIZE, frames, judged, numbered, ordinary

JUNK = [".DS_Store", "__MACOSX/", "__MACOSX/a/._1.png", "a/", "b/c/", "a/Thumbs.db", "desktop.ini"]


def test_a_sequence_of_pictures() -> None:
    """They are as large as the pictures are, and 25 a second; that nobody said so is told."""
    names = [*JUNK, *numbered("a/frame_", 12, ".png")]
    verdict = judged(names)
    assert verdict == FrameSet(Format.PNG, 4, 2, 25.0, None, tuple(range(7, 19)), inferred=True)


@pytest.mark.parametrize("folder", ["", "frames/", "a/", "film/frames/", "2024/10/"])
@pytest.mark.parametrize("form", [Format.PNG, Format.JPEG, Format.WEBP])
def test_in_any_folder_and_format(folder: str, form: Format) -> None:
    """One folder of one of the three formats, wherever it is."""
    ending = {Format.PNG: ".png", Format.JPEG: ".JPG", Format.WEBP: ".webp"}[form]
    names = numbered(folder, 3, ending)
    assert frames(names, judged(names, pictures=dict.fromkeys(names, PictureSize(form, 9, 9)))) == names


@given(
    before=st.text(alphabet="ab_019 é", max_size=5),
    after=st.text(alphabet="ab_019 é", max_size=5),
    numbers=st.sets(st.integers(0, 2000), min_size=2, max_size=20),
    digits=st.integers(1, 6),
    seed=st.integers(),
)
@example(before="f", after="", numbers={1, 10}, digits=1, seed=0)  # all begin with the same digits, or end with them
@example(before="f", after="", numbers={1, 11}, digits=1, seed=0)
def test_one_number_that_differs(before: str, after: str, numbers: set[int], digits: int, seed: int) -> None:
    """Whatever text and other numbers stand before and after it, the frames are in its order."""
    before, after = before.rstrip("0123456789"), after.lstrip("0123456789")
    names = [f"{before}{number:0{digits}}{after}.png" for number in sorted(numbers)]
    packed = list(names)
    random.Random(seed).shuffle(packed)
    assert frames(packed, judged(packed)) == names


@pytest.mark.parametrize(
    "names",
    [
        ["a1.png", "b2.png"],
        ["a1.png", "a.png"],
        ["1a1.png", "2a2.png"],
        ["1a1.png", "1a2.png", "2a1.png"],
        ["cover.png", "f1.png", "f2.png"],
        ["f1.png", "f2.png", "f2 copy.png"],
        ["f1.png", "f2.PNG"],
        ["a٣.png", "a٤.png"],
        ["aa.png", "aaa.png"],
    ],
)
def test_names_that_are_no_sequence(names: list[str]) -> None:
    """More than one number differs, or something that is no number."""
    for order in (names, names[::-1]):
        assert "differ in more than one number; named like frame_0001 and frame_0002" in ordinary(judged(order))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "there are no files in it;"),
        (JUNK, "there are no files in it;"),
        (["1.png"], "there is one picture only; two or more would be frames, and a metadata.json with width, height,"),
        (["1.png", "2.png", "README.txt"], "README.txt is no picture; numbered pictures alone in the archive"),
        (["notes.txt", "1.png", "2.png"], "notes.txt is no picture;"),
        (
            ["1.rgb", "2.rgb"],
            "1.rgb does not say what its pixels are; a metadata.json with width, height, format and fps",
        ),
        (["1.png", "2.jpg"], "1.png and 2.jpg are of two formats;"),
        (["a/1.png", "b/2.png"], "its pictures lie in a/ and b/; in one folder, numbered, they would be frames"),
        (["a/1.png", "2.png"], "its pictures lie in a/ and the top of the archive;"),
        (["a/metadata.json", "b/1.png"], "a/metadata.json does not count: what makes frames of an archive is called"),
        (["1.png", "a/b/metadata.json"], "a/b/metadata.json does not count:"),
        (["Metadata.JSON", "1.rgb"], "Metadata.JSON does not count:"),
        (["\x1b[2J.txt"], r"\x1b[2J.txt is no picture;"),
    ],
)
def test_ordinary_archives(names: list[str], words: str) -> None:
    """The reason says what stands against frames, and what would make some."""
    reason = ordinary(judged(names))
    assert reason.startswith("There is no metadata.json, and ")
    assert words in reason
    assert reason.isprintable()


def test_photos_of_different_sizes_are_no_broken_frames() -> None:
    """They are an ordinary archive: both sizes are told."""
    names = numbered("IMG_", 3, ".jpg")
    photos = dict.fromkeys(names, PictureSize(Format.JPEG, 4032, 3024)) | {
        "IMG_2.jpg": PictureSize(Format.JPEG, 640, 480)
    }
    reason = ordinary(judged(names, pictures=photos))
    assert "IMG_1.jpg is 4032 × 3024 and IMG_2.jpg is 640 × 480; pictures of one size would be frames" in reason


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "2.png is no readable picture;"),
        (PictureSize(Format.JPEG, 4, 2), "2.png is a jpeg picture by its bytes; with the right ending"),
    ],
)
def test_a_file_that_is_no_such_picture(told: PictureSize | None, words: str) -> None:
    """A name alone makes no picture; and one that has another format, no frame."""
    names = numbered("", 3, ".png")
    assert words in ordinary(judged(names, pictures={"2.png": told}))
    backwards = judged(["2.png", "3.png"], pictures={"2.png": told})
    assert words in ordinary(backwards)


def test_pictures_too_large_for_frames() -> None:
    """A side is as long as a metadata.json may say, at the most."""
    names = numbered("", 2, ".png")
    widest = dict.fromkeys(names, PictureSize(Format.PNG, 16_384, 1))
    assert isinstance(judged(names, pictures=widest), FrameSet)
    beyond = dict.fromkeys(names, PictureSize(Format.PNG, 1, 16_385))
    assert "its pictures are 1 × 16385; up to 16384 a side" in ordinary(judged(names, pictures=beyond))


@given(st.lists(st.text(alphabet="a1./é\x1b", max_size=6).map(lambda name: f"{name}.png"), max_size=6))
def test_whatever_the_names_are_there_is_a_verdict(names: list[str]) -> None:
    """Nothing is raised, and what is said can be printed."""
    verdict = judged(names, pictures=dict.fromkeys(names, PNG_SIZE))
    assert isinstance(verdict, FrameSet) or ordinary(verdict).isprintable()
