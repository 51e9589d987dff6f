"""From the entries of an archive with a metadata.json to its frames, or to why they are none."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.frame_formats import ENDINGS, MEDIA_TYPES, Format, bytes_a_frame
from ferryman_server.media.frame_set import BadFrames, FrameSet, NotFrames, judge
from ferryman_server.media.metadata import MAX_METADATA
from ferryman_server.media.picture_size import PictureSize
from tests.server.media.frame_archives import PNG, RAW, RAW_SIZE, archive, entry, frames, judged, numbered, refused

JUNK: Final = [".DS_Store", "__MACOSX/", "__MACOSX/._metadata.json", "frames/Thumbs.db", "desktop.ini", ".git/a.rgb"]


def test_a_folder_of_raw_frames() -> None:
    """All that the metadata say is in the answer, the frames by their entry numbers."""
    names = ["metadata.json", "frames/", *numbered("frames/", 3, ".rgb")]
    assert judged(names, RAW | {"title": "Quay"}) == FrameSet(
        Format.RGB565LE, 4, 2, 25.0, "Quay", (2, 3, 4), inferred=False
    )


@pytest.mark.parametrize("top", ["", "film/", "frames/", "./", "./film//"])
@pytest.mark.parametrize("folder", ["frames/", ""])
def test_where_frames_may_lie(top: str, folder: str) -> None:
    """In frames/ or beside the metadata, at the top or in the one folder; what systems put in does not count."""
    inside = [*numbered(f"{top}{folder}", 11, ".RGB"), f"{top}metadata.json", f"{top}sound.wav", f"{top}notes/1.rgb"]
    names = [*JUNK[:3], *inside, f"{top}Thumbs.db", f"{top}.hidden.rgb"]
    assert frames(names, judged(names, RAW)) == inside[:11]


def test_files_beside_a_folder_of_frames_are_left_alone() -> None:
    """With a frames/ the files beside it are none, nor are those deeper in."""
    names = ["poster.png", "frames/2.png", "frames/1.png", "frames/notes.txt", "frames/small/1.png", "metadata.json"]
    assert frames(names, judged(names, PNG)) == ["frames/1.png", "frames/2.png"]


@pytest.mark.parametrize("form", Format)
def test_every_format_by_each_of_its_endings(form: Format) -> None:
    """All endings of a format are frames of it, those of others are not."""
    endings = ENDINGS[form]
    names = [f"{number}{ending}" for number, ending in enumerate(endings)] + ["metadata.json"]
    strangers = sorted({ending for other in ENDINGS.values() for ending in other} - set(endings))
    names += [f"other{ending}" for ending in strangers]
    size = bytes_a_frame(form, 4, 2)
    verdict = judged(
        names,
        PNG | {"format": form},
        sizes=dict.fromkeys(names, size or 7),
        pictures=dict.fromkeys(names, PictureSize(form, 4, 2)),
    )
    assert frames(names, verdict) == names[: len(endings)]
    assert form in MEDIA_TYPES


@given(
    count=st.integers(1, 30),
    how=st.sampled_from(["none", "count", "list"]),
    top=st.sampled_from(["", "film/"]),
    shuffled=st.randoms(use_true_random=False),
)
def test_the_order(count: int, how: str, top: str, shuffled: Any) -> None:
    """By name as people count, or as listed, in whatever order they lie in the archive."""
    paths = numbered(f"{top}frames/frame", count, ".rgb")
    listed = list(paths)
    shuffled.shuffle(listed)
    ways = ["", "frames/", f"{top}frames/", "./frames/"]
    said: dict[str, Any] = {
        "none": None,
        "count": count,
        "list": [shuffled.choice(ways) + path.rpartition("/")[2] for path in listed],
    }
    names = [*paths, f"{top}metadata.json", f"{top}README"]
    shuffled.shuffle(names)
    assert frames(names, judged(names, RAW | {"frames": said[how]})) == (listed if how == "list" else paths)


def test_a_list_may_leave_files_out() -> None:
    """What is not listed is left alone, also when it could not be a frame."""
    names = ["a.rgb", "b.rgb", "cut.rgb", "metadata.json"]
    verdict = judged(names, RAW | {"frames": ["b.rgb", "a.rgb"]}, sizes={"cut.rgb": 1})
    assert frames(names, verdict) == ["b.rgb", "a.rgb"]


def test_a_list_finds_names_however_they_are_composed() -> None:
    """macOS packs letters and accents one by one; a list has them as one."""
    names = ["frames/ue\u0301.rgb", "metadata.json"]
    assert frames(names, judged(names, RAW | {"frames": ["u\u00e9.rgb"]})) == names[:1]


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        (["1.rgb", "3.rgb"], "frames lists '3.rgb', which is not in frames/"),
        (["1.rgb", "frames/1.rgb"], "frames lists 'frames/1.rgb' twice; each file is expected once"),
        (["1.rgb", "1.txt"], "frames lists '1.txt', whose ending does not belong to the format"),
        (["../1.rgb"], "frames lists '../1.rgb', which is not in frames/"),
        (["deep/1.rgb"], "frames lists 'deep/1.rgb', whose"),
        (["\x1b]0;\ud800.rgb"], r"frames lists '\x1b]0;\ud800.rgb', which"),
    ],
)
def test_a_list_that_is_not_what_is_there(listed: list[str], words: str) -> None:
    """Every listed file has to be there, once."""
    names = ["metadata.json", "frames/1.rgb", "frames/2.rgb", "frames/1.txt", "frames/deep/1.rgb"]
    bad = refused(judged(names, RAW | {"frames": listed}))
    assert words in bad.reason
    assert (bad.entry, bad.field) == (None, "frames")


def test_a_list_with_a_folder_that_is_not_there() -> None:
    """Frames that lie beside the metadata are not in frames/."""
    bad = refused(judged(["metadata.json", "1.rgb"], RAW | {"frames": ["frames/1.rgb"]}))
    assert bad.reason == "frames lists 'frames/1.rgb', which is not in the top of the archive"


@pytest.mark.parametrize("said", [1, 3])
def test_a_count_that_differs(said: int) -> None:
    """Both numbers are told."""
    bad = refused(judged(["metadata.json", "frames/1.png", "frames/2.png"], PNG | {"frames": said}))
    assert bad.reason == f"frames says {said}, and frames/ holds 2 that end in .png"
    assert bad.field == "frames"


@given(size=st.integers(0, 100), at=st.integers(1, 5))
def test_a_raw_frame_of_another_size(size: int, at: int) -> None:
    """The frame is named, with its bytes and those that are expected."""
    names = ["film/metadata.json", *numbered("film/frames/", 5, ".bin")]
    verdict = judged(names, RAW, sizes={f"film/frames/{at}.bin": size})
    if size == RAW_SIZE:
        assert isinstance(verdict, FrameSet)
        return
    bad = refused(verdict)
    assert bad.reason == f"film/frames/{at}.bin has {size} bytes; 4 × 2 × 2 = 16 are expected of rgb565le"
    assert (bad.entry, bad.field) == (f"film/frames/{at}.bin", None)


@pytest.mark.parametrize(
    ("told", "words", "field"),
    [
        (PictureSize(Format.PNG, 5, 2), "2.png is 5 × 2; width and height say 4 × 2", "width"),
        (PictureSize(Format.PNG, 4, 1), "2.png is 4 × 1; width and height say 4 × 2", "height"),
        (PictureSize(Format.JPEG, 4, 2), "2.png is a jpeg picture; format says png", "format"),
        (None, "2.png is no readable png picture", "format"),
    ],
)
def test_a_picture_that_is_not_as_described(told: PictureSize | None, words: str, field: str) -> None:
    """The picture is named, what it is, and the field that says otherwise."""
    bad = refused(judged(["metadata.json", "1.png", "2.png", "3.png"], PNG, pictures={"2.png": told}))
    assert (bad.reason, bad.entry, bad.field) == (words, "2.png", field)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "png frames end in .png, and no file in the top of the archive does; there are no files in it"),
        (["frames/"], "png frames end in .png, and no file in frames/ does; there are no files in it"),
        (["1.jpg", "2.jpg", "x.txt", "README"], "does; it holds 2 × .jpg, 1 × .txt, 1 × no ending"),
        (["frames/1.jpg", "frames/2.jpg"], "no file in frames/ does; it holds 2 × .jpg"),
        (["frames/1.txt", "1.png", "2.png"], "no file in frames/ does; 2 in the top of the archive do"),
        (["Frames/1.png", "Frames/2.png"], "no file in the top of the archive does; 2 in Frames/ do"),
        ([f"1.{ending}" for ending in "abcdefg"], "it holds 1 × .a, 1 × .b, 1 × .c, 1 × .d and 3 other endings"),
    ],
)  # fmt: skip
def test_no_frames_at_all(names: list[str], words: str) -> None:
    """The refusal tells what was looked for, and what is there."""
    bad = refused(judged(["metadata.json", *names], PNG))
    assert words in bad.reason
    assert bad.field == "format"


FILM: Final = {"width": 320, "height": 240, "fps": 25}
STILLS: Final = numbered("frames/", 499, ".jpg")


@pytest.mark.parametrize(
    ("names", "fields", "seventh"),
    [
        (["frames/0007.png"], {"width": 320, "format": "png"}, None),
        (["frames/0007.png"], FILM | {"width": "320", "format": "png"}, None),
        ([*STILLS[:24], "frames/x.txt"], FILM | {"format": "png"}, None),
        (STILLS, FILM | {"format": "jpeg", "frames": 500}, None),
        (["frames/0008.png"], FILM | {"format": "png", "frames": ["0007.png"]}, None),
        (["frames/0007.rgb"], FILM | {"format": "rgb565le"}, None),
        (["frames/0007.png"], FILM | {"format": "png"}, PictureSize(Format.PNG, 640, 480)),
        (["frames/0007.png"], FILM | {"format": "png"}, PictureSize(Format.JPEG, 320, 240)),
        (["frames/0007.png"], FILM | {"format": "png"}, None),
    ],
)
def test_the_page_has_the_words_of_each_refusal(
    names: list[str], fields: dict[str, Any], seventh: PictureSize | None
) -> None:
    """What docs/reference/frames.md gives as an instance is what is told."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "frames.md").read_text("utf-8")
    sizes, pictures = {"frames/0007.rgb": 1000}, {"frames/0007.png": seventh}
    bad = refused(judged(["metadata.json", *names], fields, sizes=sizes, pictures=pictures))
    assert f"| `{bad.reason}` |" in page


def test_metadata_that_cannot_be_used() -> None:
    """The reason is that of the metadata, with the name of its file and the field."""
    bad = refused(judged(["film/metadata.json", "film/1.rgb"], RAW | {"fps": 0}))
    assert bad.reason == "film/metadata.json: fps is 0; a number above 0, up to 1000 is expected"
    assert (bad.entry, bad.field) == ("film/metadata.json", "fps")


def test_metadata_that_nobody_kept() -> None:
    """Larger than what is kept of them, they are refused with both sizes; else it is said that they are not there."""
    entries = [entry(0, "metadata.json", MAX_METADATA + 1), entry(1, "1.rgb")]
    bad = refused(judge(entries, None, {}))
    assert bad.reason == "metadata.json: it has 1048577 bytes; at most 1048576 are taken"
    bad = refused(judge([entry(0, "metadata.json", MAX_METADATA), entry(1, "1.rgb")], None, {}))
    assert bad.reason == "metadata.json: it could not be read again; send it once more"


@given(st.lists(st.text(alphabet="a1./é\x1b", max_size=9), max_size=6), st.binary(max_size=9), st.booleans())
def test_whatever_the_names_are_there_is_a_verdict(names: list[str], content: bytes, good: bool) -> None:
    """Nothing is raised, and what is said can be printed."""
    entries = archive([*names, "metadata.json"])
    verdict = judge(entries, json.dumps(RAW | {"frames": names or 1}).encode() if good else content, {})
    assert isinstance(verdict, FrameSet) or verdict.reason.isprintable()


def test_another_tools_metadata_is_no_concern_of_ours() -> None:
    """Where nothing could be a frame, a metadata.json that describes none makes no archive of frames."""
    verdict = judged(["metadata.json", "data.csv"], {"creator": "somebody"})
    assert isinstance(verdict, NotFrames)
    assert "metadata.json" in verdict.reason
    assert isinstance(judged(["metadata.json", "1.rgb"], {"creator": "somebody"}), BadFrames)
