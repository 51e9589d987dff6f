"""The rows kept in memory."""

from dataclasses import replace

import pytest

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase
from ferryman_server.state import recent as module
from ferryman_server.state.base import Record
from ferryman_server.state.recent import LARGEST, Recent
from ferryman_server.state.testing_records import advanced, new_id, new_record


def test_row_is_there_until_dropped() -> None:
    """What was put in comes out, and nothing else."""
    recent, record = Recent(), new_record()
    recent.put(record)
    assert recent.get(record.upload.id) is record
    assert recent.get(new_id()) is None
    recent.drop(record.upload.id)
    recent.drop(record.upload.id)
    assert recent.get(record.upload.id) is None


def test_update_carries_the_fence() -> None:
    """A row that was saved is the record with the fence of the lease it was saved under."""
    recent, record = Recent(), new_record()
    recent.put(record)
    changed = advanced(record, offset=5)
    recent.update(changed, 7)
    assert recent.get(record.upload.id) == replace(changed, fence=7)


def test_update_of_an_unknown_row_is_not_believed() -> None:
    """What the upload is was not written by the save, so it is not known here."""
    recent, record = Recent(), new_record()
    recent.update(record, 7)
    assert recent.get(record.upload.id) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"dialect": "rufh"},
        {"metadata": "other"},
        {"concat": Concat.PARTIAL},
        {"concat_echo": "other"},
        {"parts": ("other",)},
        {"content_type": "text/other"},
        {"content_encoding": "gzip"},
        {"filename": "other"},
    ],
)
def test_update_that_says_an_upload_is_another_drops_it(changes: dict[str, object]) -> None:
    """The columns that are fixed at creation are not what such a record says: only the database knows."""
    recent, record = Recent(), new_record()
    recent.put(record)
    recent.update(advanced(record, **changes), 7)
    assert recent.get(record.upload.id) is None


@pytest.mark.parametrize("changes", [{"created_at": 5.0}, {"owner": "other"}])
def test_update_with_another_birth_drops_it(changes: dict[str, object]) -> None:
    """The same for what the server fixes at creation."""
    recent, record = Recent(), new_record()
    recent.put(record)
    recent.update(replace(record, **changes), 7)  # type: ignore[arg-type]
    assert recent.get(record.upload.id) is None


def test_read_is_taken_in_once() -> None:
    """The row that was read is there afterwards; a read that found nothing leaves nothing."""
    recent, record = Recent(), new_record()
    recent.take_in(recent.reading(record.upload.id), record.upload.id, record)
    assert recent.get(record.upload.id) is record
    absent = new_id()
    recent.take_in(recent.reading(absent), absent, None)
    assert recent.get(absent) is None
    assert recent._reading == {}


def test_read_is_not_taken_in_after_a_write_was_asked_for() -> None:
    """The read may be older than the write, whichever of the two ends first."""
    recent, record = Recent(), new_record()
    right = recent.reading(record.upload.id)
    recent.writing(record.upload.id)
    recent.put(advanced(record, offset=5))
    recent.take_in(right, record.upload.id, record)
    assert recent.get(record.upload.id) == advanced(record, offset=5)
    recent.drop(record.upload.id)
    recent.take_in(right, record.upload.id, record)
    assert recent.get(record.upload.id) is None


def test_of_two_reads_the_later_one_is_taken_in() -> None:
    """A read that began before a write does not use the right of one that began after it."""
    recent, record = Recent(), new_record()
    older = recent.reading(record.upload.id)
    recent.writing(record.upload.id)
    newer = recent.reading(record.upload.id)
    recent.take_in(older, record.upload.id, record)
    assert recent.get(record.upload.id) is None
    recent.take_in(newer, record.upload.id, advanced(record, offset=5))
    assert recent.get(record.upload.id) == advanced(record, offset=5)


def test_longest_unused_rows_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the space is used up, what was asked for lately stays."""
    monkeypatch.setattr(module, "SPACE", 10 * module.BARE)
    recent, records = Recent(), [new_record() for _ in range(10)]
    for record in records:
        recent.put(record)
    assert recent.get(records[0].upload.id) is records[0]
    recent.put(new_record())
    assert recent.get(records[0].upload.id) is records[0]
    assert recent.get(records[1].upload.id) is None
    assert len(recent) == 10


def test_size_is_what_the_rows_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that grow, shrink, come again and go leave the account right: the space is neither lost nor exceeded."""
    monkeypatch.setattr(module, "SPACE", 10 * module.BARE)
    recent, record = Recent(), new_record(metadata="m" * 700)
    for reason in (None, "r" * 500, "r", None):
        recent.put(record)
        recent.update(advanced(record, reason=reason), 1)
    assert recent._size == module.BARE + 700
    for _ in range(100):
        recent.put(new_record(metadata="m" * module.BARE))
    assert len(recent) == 5
    assert recent._size == 10 * module.BARE


@pytest.mark.parametrize(
    "record",
    [
        new_record(metadata="m" * LARGEST),
        new_record(filename="f" * LARGEST),
        replace(new_record(), owner="o" * LARGEST),
        replace(new_record(), repr_digests=Digests(values=tuple(("d" * 100, b"d" * 100) for _ in range(50)))),
        replace(new_record(), want_repr_digests=("d" * 100,) * 100),
        new_record(phase=Phase.WAITING, length=None, concat=Concat.FINAL, parts=(new_id(),)),
    ],
)
def test_large_rows_are_not_kept(record: Record) -> None:
    """A row with long texts or parts is left to the database, and one that was small before does not stay."""
    recent = Recent()
    recent.put(new_record(record.upload.id))
    recent.put(record)
    assert recent.get(record.upload.id) is None
    assert (len(recent), recent._size) == (0, 0)


def test_row_that_grows_too_large_does_not_stay() -> None:
    """Nor is an old state of it answered."""
    recent, record = Recent(), new_record()
    recent.put(record)
    recent.update(advanced(record, reason="r" * LARGEST), 7)
    assert recent.get(record.upload.id) is None
    assert (len(recent), recent._size) == (0, 0)
