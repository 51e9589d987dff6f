"""How far uploads are: the latest of each, four times a second, in bounded memory."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import structlog
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.event_gathering import FRAMES, INTERVAL, Gathering
from ferryman_server.events import Event, Name
from tests.support.listening import Heard, Reader

ONE, OTHER = "a" * 26, "b" * 26


def progress(upload_id: str, offset: int) -> Event:
    """So many bytes are there."""
    return Event("progress", upload_id, 1.0, {"offset": offset, "length": None})


def frame(upload_id: str, n: int, **more: Any) -> Event:
    """A frame is there."""
    return Event("frame", upload_id, 1.0, {"n": n, **more})


def heard(gathering: Gathering, version: int = 0, upload_id: str | None = None) -> list[Heard]:
    """What a reader is told that has come to this version."""
    told = gathering.since(version, upload_id)
    assert told is not None
    assert [each for each, _ in told] == sorted(each for each, _ in told)
    return Reader().feed(b"".join(block for _, block in told))


@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.4), st.sampled_from([ONE, OTHER]), st.sampled_from(["progress", "frame"]), st.integers(0, 99)
        ),
        max_size=60,
    )
)
def test_each_is_told_four_times_a_second_at_most_and_the_latest_in_the_end(
    steps: list[tuple[float, str, Name, int]],
) -> None:
    """Whatever comes, whenever: two messages of one kind about one upload are an interval apart, and nothing is held
    back for longer than that."""
    gathering, now, version = Gathering(), 0.0, 0
    told = defaultdict[tuple[str, str], list[float]](list)
    latest: dict[tuple[str, str], Any] = {}
    highest = defaultdict[str, int](int)
    views: dict[tuple[str, str], Any] = {}

    def look() -> None:
        nonlocal version
        for event in heard(gathering, version):
            key = (event.name, event.data["upload"])
            told[key].append(now)
            views[key] = event.data["offset"] if event.name == "progress" else event.data["count"]
        version = gathering.version

    for pause, upload_id, name, number in steps:
        now += pause
        gathering.ripen(now)
        if name == "progress":
            gathering.take(progress(upload_id, number), now)
            latest[name, upload_id] = number
        else:
            gathering.take(frame(upload_id, number), now)
            highest[upload_id] = max(highest[upload_id], number + 1)
            latest[name, upload_id] = highest[upload_id]
        look()
        assert gathering.waits or views == latest
    now += INTERVAL
    gathering.ripen(now)
    look()
    assert views == latest
    assert not gathering.waits
    for times in told.values():
        assert all(later - earlier >= INTERVAL * 0.999 for earlier, later in pairwise(times))


def test_frames_come_as_their_count_and_the_last_of_them() -> None:
    """A thousand frames in a moment are two messages; what is known of the last ones is told, whatever it is."""
    gathering = Gathering()
    for n in range(1000):
        gathering.take(frame(ONE, n, name=f"f{n}.png", width=3), 0.0)
    gathering.ripen(INTERVAL)
    (event,) = heard(gathering)
    assert gathering.version == 2
    assert (event.name, event.id, event.data["upload"], event.data["count"]) == ("frame", None, ONE, 1000)
    assert event.data["frames"] == [{"n": n, "name": f"f{n}.png", "width": 3} for n in range(1000 - FRAMES, 1000)]


def test_a_frame_that_comes_late_does_not_lower_the_count() -> None:
    """Frames of one archive may be found in another order."""
    gathering = Gathering()
    for time, n in ((0.0, 4), (1.0, 2)):
        gathering.take(frame(ONE, n), time)
    (event,) = heard(gathering)
    assert event.data["count"] == 5
    assert event.data["frames"] == [{"n": 2}]


def test_frames_may_come_already_counted() -> None:
    """The count that an event tells is taken; one that lowers it is not."""
    gathering = Gathering()
    for time, count in ((0.0, 7), (1.0, 5)):
        gathering.take(Event("frame", ONE, 1.0, {"count": count, "name": f"f{count}.raw"}), time)
    (event,) = heard(gathering)
    assert event.data["count"] == 7
    assert event.data["frames"] == [{"count": 5, "name": "f5.raw"}]


def test_what_is_over_is_forgotten() -> None:
    """A complete upload has no progress, a published one no frames to wait for, a deleted one nothing."""
    ends: dict[Name, set[str]] = {
        "created": {"progress", "frame"},
        "complete": {"frame"},
        "published": set(),
        "derived": {"progress", "frame"},
        "retracted": {"progress"},
        "failed": set(),
        "terminated": set(),
        "expired": set(),
    }
    for name, left in ends.items():
        gathering = Gathering()
        for upload_id in (ONE, OTHER):
            for number in range(2):  # the second is held back
                gathering.take(progress(upload_id, number), 0.0)
                gathering.take(frame(upload_id, number), 0.0)
        gathering.end(Event(name, ONE, 1.0))
        gathering.ripen(INTERVAL)
        assert {event.name for event in heard(gathering, upload_id=ONE)} == left
        assert len(heard(gathering)) == 2 + len(left)
        assert not gathering.waits


def test_a_reader_of_one_upload_hears_of_that_alone() -> None:
    """And each message once."""
    gathering = Gathering()
    gathering.take(progress(ONE, 1), 0.0)
    gathering.take(progress(OTHER, 2), 0.0)
    gathering.take(frame(ONE, 0), 0.0)
    assert [(event.name, event.data["upload"]) for event in heard(gathering, upload_id=ONE)] == [
        ("progress", ONE),
        ("frame", ONE),
    ]
    assert heard(gathering, gathering.version, ONE) == []
    gathering.take(progress(ONE, 3), 1.0)
    assert [event.data["offset"] for event in heard(gathering, 3, ONE)] == [3]


@given(st.lists(st.integers(0, 20), max_size=80), st.integers(0, 80))
def test_what_is_kept_is_bounded_and_a_reader_learns_that_it_missed_something(ids: list[int], reads_after: int) -> None:
    """The ones that were not heard of for longest go; who had read them has missed nothing."""
    gathering, version, known, latest = Gathering(interval=0.0, most=5), 0, dict[str, int](), dict[str, int]()
    for step, number in enumerate(ids):
        gathering.take(progress(f"{number}", step), float(step))
        latest[f"{number}"] = step
        assert len(gathering) <= 5
        if step == reads_after:
            known, version = dict(latest), gathering.version
    told = gathering.since(version)
    if told is None:
        assert len(latest) > 5
        return
    for event in Reader().feed(b"".join(block for _, block in told)):
        known[event.data["upload"]] = event.data["offset"]
    assert known == latest


def test_clearing_forgets_everything() -> None:
    """A reader that was at its beginning is told so."""
    gathering = Gathering()
    for number in range(2):
        gathering.take(progress(ONE, number), 0.0)
    gathering.clear()
    assert (len(gathering), gathering.waits) == (0, False)
    assert gathering.since(0) is None
    assert gathering.since(gathering.version) == []


def test_an_event_that_cannot_be_told_harms_no_other() -> None:
    """It is said in the log."""
    gathering = Gathering()
    gathering.take(progress(ONE, 1), 0.0)
    with structlog.testing.capture_logs() as logs:
        gathering.take(Event("progress", OTHER, 1.0, {"offset": b"?"}), 0.0)
        gathering.take(Event("progress", ONE, 1.0, {"offset": float("nan")}), 0.0)
        gathering.ripen(INTERVAL)
    assert [entry["upload_id"] for entry in logs] == [OTHER, ONE]
    assert len(gathering) == 0
    gathering.take(progress(OTHER, 5), 9.0)
    assert [event.data["offset"] for event in heard(gathering)] == [5]
