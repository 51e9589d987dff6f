"""Which entries count, which may turn out to be frames, and which look like frames while the upload is running."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.frame_set import FrameSet, find_metadata, is_metadata, judge, may_be_frame, provisional
from tests.server.media.frame_archives import PNG, RAW, RAW_SIZE, archive, numbered


def likely(names: list[str], fields: Mapping[str, Any] | None = None, **sizes: int) -> list[str]:
    """The names of what looks like frames; `sizes` by the name without its ending."""
    entries = archive(names, {name: sizes[stem] for name in names if (stem := name.rpartition(".")[0]) in sizes})
    content = None if fields is None else json.dumps(fields).encode()
    return [names[number] for number in provisional(entries, content)]


@pytest.mark.parametrize(
    ("name", "metadata", "frame"),
    [
        ("metadata.json", True, False),
        ("./metadata.json", True, False),
        ("film/metadata.json", True, False),
        ("film/frames/metadata.json", False, False),
        ("Metadata.json", False, False),
        ("metadata.json/", False, False),
        ("xmetadata.json", False, False),
        ("__MACOSX/metadata.json", False, False),
        (".film/metadata.json", False, False),
        ("frames/1.rgb", False, True),
        ("frames/1.RGB565", False, True),
        ("a/b/c/1.Jpeg", False, True),
        ("1.png", False, True),
        ("png", False, False),
        (".png", False, False),
        ("frames/.png", False, False),
        ("frames/._1.png", False, False),
        ("__macosx/1.png", False, False),
        ("a.png/", False, False),
        ("a.png/b", False, False),
        ("1.png.txt", False, False),
    ],
)
def test_what_a_name_alone_says(name: str, metadata: bool, frame: bool) -> None:
    """While entries pass, it says whose content to look at."""
    assert (is_metadata(name), may_be_frame(name)) == (metadata, frame)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["frames/1.png", "metadata.json"], "metadata.json"),
        (["film/metadata.json", "metadata.json"], "metadata.json"),
        (["film/1.png", "film/metadata.json", "film/a/b"], "film/metadata.json"),
        (["__MACOSX/x", ".DS_Store", "empty/", "film/metadata.json", "film/1.png"], "film/metadata.json"),
        (["film/metadata.json", "README"], None),
        (["film/metadata.json", "other/1.png"], None),
        (["a/film/metadata.json", "a/1.png"], None),
        (["a/metadata.json", "b/metadata.json"], None),
        ([], None),
    ],
)
def test_which_metadata_counts(names: list[str], found: str | None) -> None:
    """That at the top, or in the one folder that everything else lies in."""
    entry = find_metadata(archive(names))
    assert (None if entry is None else entry.name) == found


def test_what_looks_like_frames_before_the_metadata_come() -> None:
    """In a folder called frames, else the largest group of one kind in one folder; in natural order."""
    assert likely(["sound.wav", "frames/10.rgb", "frames/9.rgb", "poster.png", "1.png", "2.png"]) == [
        "frames/9.rgb",
        "frames/10.rgb",
    ]
    assert likely(["film/frames/1.png", "film/1.jpg", "film/2.jpg"]) == ["film/frames/1.png"]
    assert likely(["noframes/1.png", "a/2.jpg", "a/1.jpg"]) == ["a/1.jpg", "a/2.jpg"]
    assert likely(["1.png", "2.png", "a.rgb", "b.bin", "c.raw", ".d.png"]) == ["a.rgb", "b.bin", "c.raw"]
    assert likely(["README", "metadata.json", ".DS_Store"]) == []
    assert likely([]) == []


def test_what_looks_like_frames_when_the_metadata_have_come() -> None:
    """What they describe, as far as it is here: of their format, and of the size that a raw frame has."""
    names = ["metadata.json", "10.rgb", "9.rgb", "short.rgb", "1.png"]
    assert likely(names, RAW, short=3) == ["9.rgb", "10.rgb"]
    assert likely(names, PNG) == ["1.png"]
    assert likely(names, RAW | {"frames": 500}) == ["9.rgb", "10.rgb", "short.rgb"]
    assert likely(names, RAW | {"frames": ["10.rgb", "late.rgb", "9.rgb"]}) == ["9.rgb", "10.rgb"]
    assert likely(names, RAW | {"fps": -1}) == []


@given(
    order=st.permutations(["film/metadata.json", "film/cover.png", *numbered("film/frames/", 5, ".rgb"), "film/a.wav"]),
    seen=st.integers(0, 8),
)
def test_what_looks_like_frames_is_what_will_be(order: list[str], seen: int) -> None:
    """Of a good archive, once a frame or the metadata have come, no frame that is shown is taken back."""
    entries = archive(order, {"film/cover.png": 7, "film/a.wav": 7})
    content = json.dumps(RAW).encode()
    verdict = judge(entries, content, {})
    assert isinstance(verdict, FrameSet)
    first = entries[:seen]
    known = any(entry.name.endswith(".json") for entry in first)
    shown = provisional(first, content if known else None)
    if known or any(entry.size == RAW_SIZE and "/frames/" in entry.name for entry in first):
        assert shown == [number for number in verdict.frames if number < seen]
