"""Marks at files: durable with the bytes they tell of, two of them, gone when an upload is complete."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from ferryman_server.storage import local_marks
from ferryman_server.storage.base import KeepsMarks, Mark, Marks, StoreError, SyncFailed
from ferryman_server.storage.testing_rig import ONE
from tests.power.tree import read_attributes
from tests.server.storage.local_rig import LocalRig

MIB = 1 << 20
FIRST, SECOND, THIRD = Mark(5, 1), Mark(9, (1 << 64) - 1), Mark(12, 0)


@pytest.fixture
def rig() -> Iterator[LocalRig]:
    """A store on a disk that keeps only what was synced."""
    made = LocalRig()
    yield made
    made.close()


def attribute_of(rig: LocalRig, folder: str = "uploads") -> list[str]:
    """The attributes of the upload's file."""
    return list(read_attributes(str(rig.data / folder / ONE)))


def test_the_last_two_marks_survive_a_power_cut(rig: LocalRig) -> None:
    """And with each the bytes it tells of."""
    assert isinstance(rig.local, KeepsMarks)
    with closing(rig.local.writer(ONE, 0)) as writer:
        assert isinstance(writer, Marks)
        for mark in (FIRST, SECOND, THIRD):
            writer.write(memoryview(bytes(mark.offset - writer.written)))
            assert writer.sync_marked(mark)
    rig.power_cut()
    assert set(rig.local.marks(ONE)) == {SECOND, THIRD}
    assert rig.local.tail(ONE, 0) == THIRD.offset


def test_a_mark_at_bytes_that_are_durable_already_is_made_durable(rig: LocalRig) -> None:
    """A commit may have synced them just before."""
    with closing(rig.local.writer(ONE, 0)) as writer:
        writer.write(memoryview(bytes(5)))
        writer.sync()
        assert writer.sync_marked(FIRST)
    rig.power_cut()
    assert rig.local.marks(ONE) == [FIRST]


def test_a_mark_that_is_on_its_way_does_not_stand_for_the_one_before_it(rig: LocalRig) -> None:
    """When its sync fails, the disk still has what it had."""
    writer = rig.local.writer(ONE, 0)
    writer.write(memoryview(bytes(5)))
    assert writer.sync_marked(FIRST)
    writer.write(memoryview(bytes(4)))
    rig.fail_syncs(True)
    with pytest.raises(SyncFailed):
        writer.sync_marked(SECOND)
    with pytest.raises(SyncFailed):
        writer.sync_marked(SECOND)
    writer.close()
    assert FIRST in rig.local.marks(ONE)
    rig.power_cut()
    assert rig.local.marks(ONE) == [FIRST]


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOSPC])
def test_where_there_can_be_no_mark_nothing_is_done(rig: LocalRig, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A file system without attributes, or without room for one, is told by the answer: the caller commits."""

    def refuse(*args: object, **named: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "setxattr", refuse)
    with closing(rig.local.writer(ONE, 0)) as writer:
        writer.write(memoryview(bytes(5)))
        assert not writer.sync_marked(FIRST)
        assert not writer.sync_marked(FIRST)
    assert "data/uploads/" + ONE not in rig.disk.log
    assert rig.local.marks(ONE) == []


def test_a_platform_without_attributes_has_no_marks(rig: LocalRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """There they are neither made nor looked for."""
    monkeypatch.setattr(local_marks, "_possible", False)
    with closing(rig.local.writer(ONE, 0)) as writer:
        writer.write(memoryview(bytes(5)))
        assert not writer.sync_marked(FIRST)
        writer.sync()
    assert rig.local.marks(ONE) == []
    rig.local.publish(ONE, 5)


def test_a_closed_writer_makes_no_mark(rig: LocalRig) -> None:
    """It says that it is closed."""
    writer = rig.local.writer(ONE, 0)
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        writer.sync_marked(FIRST)


def test_a_writer_at_rest_makes_no_mark(rig: LocalRig) -> None:
    """It has no file open, and nothing to tell of."""
    with closing(rig.local.writer(ONE, 0)) as writer:
        writer.write(memoryview(bytes(5)))
        writer.sync()
        writer.rest()
        assert not writer.sync_marked(FIRST)


@pytest.mark.parametrize("way", ["publish", "settle"])
def test_a_complete_upload_has_no_marks(rig: LocalRig, way: str) -> None:
    """Whoever copies the published file does not copy what it was received with."""
    with closing(rig.local.writer(ONE, 0)) as writer:
        writer.write(memoryview(bytes(2 * MIB)))
        assert writer.sync_marked(Mark(2 * MIB, 7))
    assert attribute_of(rig) == [local_marks.NAME]
    (rig.local.publish if way == "publish" else rig.local.settle)(ONE, 2 * MIB)
    assert attribute_of(rig, f"files/{ONE[:2]}") == []


@pytest.mark.parametrize("value", [b"", b"1", b"2" + bytes(16), b"1" + bytes(15), b"1" + bytes(17)])
def test_an_attribute_that_makes_no_sense_is_no_mark(rig: LocalRig, value: bytes) -> None:
    """Of another version, cut short, or somebody else's."""
    with closing(rig.local.writer(ONE, 0)) as writer:
        writer.write(memoryview(bytes(5)))
    os.setxattr(rig.data / "uploads" / ONE, local_marks.NAME, value)
    assert rig.local.marks(ONE) == []


def test_an_upload_without_a_file_has_no_marks(rig: LocalRig) -> None:
    """Nor is that an error."""
    assert rig.local.marks(ONE) == []
