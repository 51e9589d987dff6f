"""What is known of an archive while it passes: entries, pictures' sizes, a filmstrip, a verdict."""

import io
import json

import pytest
from PIL import Image

from ferryman_server.media.filmstrip import APART
from ferryman_server.media.following import Begun, Following
from ferryman_server.media.frame_set import FrameSet
from ferryman_server.media.zip_index import Limits
from ferryman_server.state.media import LARGEST_THUMB, MOST_THUMBS
from tests.zips.build import Archive, Member

WIDTH, HEIGHT = 8, 6
SIZE = WIDTH * HEIGHT * 2
SAID = json.dumps({"width": WIDTH, "height": HEIGHT, "format": "rgb565le", "fps": 5}).encode()


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def members(count: int) -> list[Member]:
    """Raw frames, each of one value."""
    return [Member(b"frames/%d.rgb" % n, bytes([n]) * SIZE, method=0) for n in range(count)]


def followed(data: bytes, piece: int, clock: Clock, *, tick: float = 0.0) -> Following:
    """An archive that comes in pieces of this size, with so much time between them."""
    following = Following(Limits(), clock=clock)
    for start in range(0, len(data), piece):
        clock.now += tick
        following.feed([memoryview(data)[start : start + piece]])
    return following


@pytest.mark.parametrize("piece", [50, 1 << 20])
def test_the_first_frame_has_a_small_picture(piece: int) -> None:
    """However many entries come at once, one of the first is shown."""
    data = Archive([Member(b"metadata.json", SAID), *members(9)]).to_bytes()
    (thumb,) = followed(data, piece, Clock()).gained().thumbs
    assert thumb.number == 1
    assert len(thumb.jpeg) <= LARGEST_THUMB
    with Image.open(io.BytesIO(thumb.jpeg), formats=["JPEG"]) as picture:
        assert picture.size == (WIDTH, HEIGHT)


def test_pictures_are_at_most_four_a_second() -> None:
    """Frames that come quickly are not all looked at; slow ones are, up to a number."""
    data = Archive([Member(b"metadata.json", SAID), *members(200)]).to_bytes()
    piece = len(data) // 200
    quick = followed(data, piece, Clock(), tick=APART / 10).gained().thumbs
    slow = followed(data, piece, Clock(), tick=APART * 2).gained().thumbs
    assert 10 < len(quick) < 30
    assert len(slow) == MOST_THUMBS


def test_without_a_description_raw_frames_have_no_picture() -> None:
    """What they show is not known before metadata.json has come, and nothing is guessed."""
    data = Archive([*members(9), Member(b"metadata.json", SAID)]).to_bytes()
    assert followed(data, 100, Clock(), tick=1.0).gained().thumbs == []


def test_what_was_gained_is_all_that_another_walk_needs() -> None:
    """A walk that ends in the middle goes on elsewhere, and comes to the same verdict."""
    data = Archive([Member(b"metadata.json", SAID), *members(20)]).to_bytes()
    first = Following(Limits())
    first.feed([memoryview(data)[: len(data) // 2]])
    gained = first.gained()
    second = Following(Limits(), Begun(gained.checkpoint, gained.entries, len(gained.thumbs)))
    second.feed([memoryview(data)[gained.checkpoint.offset :]])
    verdict = second.finish(lambda entry: SAID)
    assert isinstance(verdict, FrameSet)
    assert len(verdict.frames) == 20


def test_entries_before_a_refusal_are_told() -> None:
    """Of an archive that is refused, what came before is known."""
    data = Archive([*members(3), Member(b"../evil.rgb", b"")]).to_bytes()
    following = followed(data, 1 << 20, Clock())
    assert following.refused is not None
    assert len(following.entries) == following.frames == 3


def test_a_walk_that_is_stopped_takes_nothing_more() -> None:
    """Nobody waits for an archive that nobody wants."""
    data = Archive(members(20)).to_bytes()
    following = Following(Limits())
    following.stop()
    following.feed([memoryview(data)])
    assert following.offset == 0
