"""What was told is held against what is told later, and against what was sent."""

import pytest

from tests.crash.ledger import Broken, Ledger, Upload


def an_upload(ledger: Ledger) -> Upload:
    """An upload of which 100 bytes were sent and 60 were told."""
    upload = ledger.upload("tus", "tus", 200)
    ledger.located(upload, "/files/a")
    ledger.sending(upload, 0).stop = 100
    ledger.tell(upload, 60, 0, "HEAD")
    return upload


def test_an_offset_below_one_that_was_told_before_is_a_broken_promise() -> None:
    """It counts what was told before the question: two answers may overtake each other."""
    ledger = Ledger()
    upload = an_upload(ledger)
    ledger.tell(upload, 50, 40, "a slow HEAD")
    assert upload.told == 60
    with pytest.raises(Broken, match="tells 59, but 60 had been told"):
        ledger.tell(upload, 59, 60, "HEAD")
    assert ledger.over.is_set()
    assert "#1 " in str(ledger.failure)


def test_an_offset_that_nobody_sent_is_a_broken_promise() -> None:
    """The server cannot have bytes that were not handed to the kernel yet."""
    ledger = Ledger()
    with pytest.raises(Broken, match="no request can have brought"):
        ledger.tell(an_upload(ledger), 101, 60, "HEAD")


def test_an_offset_inside_a_checksummed_request_is_a_broken_promise() -> None:
    """All or nothing: only its start and its end may be told."""
    ledger = Ledger()
    upload = an_upload(ledger)
    ledger.sending(upload, 100, 200)
    ledger.tell(upload, 100, 60, "HEAD")
    ledger.tell(upload, 200, 100, "HEAD")
    with pytest.raises(Broken):
        ledger.tell(upload, 150, 100, "HEAD")


def test_an_upload_is_not_complete_before_its_length() -> None:
    """Nor may its URL change."""
    ledger = Ledger()
    upload = an_upload(ledger)
    with pytest.raises(Broken, match="complete at 60"):
        ledger.finished(upload, "HEAD")
    with pytest.raises(Broken, match="another Location"):
        ledger.located(upload, "/files/b")
