"""Long uploads get a line every ten seconds with percent, speed and time left; short ones get none."""

import structlog

from ferryman_server.events import Event
from ferryman_server.progress_log import ProgressLog

MB = 1_000_000


def test_a_long_upload_gets_a_line_every_ten_seconds() -> None:
    """One line an interval, with what was reached since the line before."""
    progress = ProgressLog()
    with structlog.testing.capture_logs() as logs:
        for second in range(31):
            progress.feed("u", second * MB, 100 * MB, 1000.0 + second)
    assert [entry["percent"] for entry in logs] == [10.0, 20.0, 30.0]
    assert logs[0] == {
        "event": "receiving",
        "log_level": "info",
        "upload_id": "u",
        "received": "10.0 MB",
        "speed": "1.0 MB/s",
        "percent": 10.0,
        "eta": "1 min 30 s",
    }


def test_a_short_upload_gets_none() -> None:
    """What is over within ten seconds is told by its request's line."""
    progress = ProgressLog()
    with structlog.testing.capture_logs() as logs:
        for second in range(9):
            progress.feed("u", second, 100, float(second))
    assert logs == []


def test_uploads_do_not_share_a_clock() -> None:
    """Each upload has its own interval."""
    progress = ProgressLog()
    with structlog.testing.capture_logs() as logs:
        for second in range(16):
            progress.feed("early", second, None, float(second))
            if second >= 5:
                progress.feed("late", second, None, float(second))
    assert [entry["upload_id"] for entry in logs] == ["early", "late"]


def test_an_unknown_length_has_neither_percent_nor_eta() -> None:
    """Only what is known is said."""
    progress = ProgressLog()
    with structlog.testing.capture_logs() as logs:
        progress.feed("u", 0, None, 0.0)
        progress.feed("u", MB, None, 10.0)
    assert logs[0].keys() == {"event", "log_level", "upload_id", "received", "speed"}


def test_a_pause_and_a_step_back_start_a_new_measurement() -> None:
    """The speed is that of the bytes in flight, not of the hour in between."""
    progress = ProgressLog()
    with structlog.testing.capture_logs() as logs:
        progress.feed("u", 0, None, 0.0)
        progress.feed("u", MB, None, 3600.0)
        progress.feed("u", 11 * MB, None, 3610.0)
        progress.feed("u", 5 * MB, None, 3620.0)
        progress.feed("u", 5 * MB, None, 3621.0)
    assert [entry["speed"] for entry in logs] == ["1.0 MB/s"]


def test_events_feed_it_and_end_it() -> None:
    """Progress events are taken; any end forgets the upload."""
    progress = ProgressLog()
    with structlog.testing.capture_logs() as logs:
        progress.listen(Event("created", "u", 0.0, {"length": 10}))
        progress.listen(Event("progress", "u", 0.0, {"offset": 0, "length": 10}))
        progress.listen(Event("complete", "u", 5.0))
        progress.listen(Event("progress", "u", 10.0, {"offset": 5, "length": 10}))
    assert logs == []


def test_frames_of_a_running_upload_do_not_disturb_it() -> None:
    """They are no end."""
    progress = ProgressLog()
    with structlog.testing.capture_logs() as logs:
        for second in range(11):
            progress.listen(Event("progress", "u", float(second), {"offset": second * MB, "length": None}))
            progress.listen(Event("frame", "u", float(second), {"count": second}))
    assert [entry["speed"] for entry in logs] == ["1.0 MB/s"]
