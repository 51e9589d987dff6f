"""A crowd is refused without filling the log."""

from structlog.testing import capture_logs

from ferryman_server.crowding import QUIET, Crowd
from ferryman_server.descriptors import room_for


def test_refusals_are_told_at_once_and_then_counted() -> None:
    """One line when it begins, and one with the number of refusals each time a while has gone by."""
    crowd = Crowd(room_for(1024))
    with capture_logs() as lines:
        for second in (100.0, 100.1, 100.2, 100.0 + QUIET, 100.1 + QUIET):
            crowd.refuse(second)
    assert [(line["log_level"], line["refused"]) for line in lines] == [("warning", 1), ("warning", 3)]
