"""The files that begin first."""

from pathlib import Path

from tests.support.order import LONGEST, TESTS, place


def test_the_longest_files_are_there() -> None:
    """A file that was renamed or divided would begin where its name puts it."""
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)


def test_the_longest_begin_and_others_follow() -> None:
    """Each of the list has a place of its own, in front of every other file."""
    assert [place(TESTS / name) for name in LONGEST] == list(range(len(LONGEST)))
    assert place(Path(__file__)) == len(LONGEST)
