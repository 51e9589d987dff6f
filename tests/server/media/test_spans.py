"""Frames in a row: the right bytes, in few reads."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.entries import METHODS, STORED, Entry
from ferryman_server.media.spans import GAP, LEAST, in_a_row, spans
from ferryman_server.storage.base import StoreError
from tests.server.media.stored_entries import ID, put, stored
from tests.zips.build import Member

NOISE = random.Random(3).randbytes(1 << 20)


def placed(*places: tuple[int, int]) -> list[Entry]:
    """Stored entries by where their data begin and how many bytes these are."""
    return [
        Entry(number, str(number), data - 30, data, size, size, 0, STORED, 0)
        for number, (data, size) in enumerate(places)
    ]


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ([], []),
        ([(100, 50)], [(100, 150, 1)]),
        ([(100, 50), (190, 50), (280, 50)], [(100, 330, 3)]),
        ([(100, 50), (150 + GAP, 50)], [(100, 200 + GAP, 2)]),
        ([(100, 50), (151 + GAP, 50)], [(100, 150, 1), (151 + GAP, 201 + GAP, 1)]),
        ([(190, 50), (100, 50)], [(190, 240, 1), (100, 150, 1)]),
        ([(100, 50), (100, 50)], [(100, 150, 1), (100, 150, 1)]),
    ],
)
def test_what_is_read_at_once(places: list[tuple[int, int]], found: list[tuple[int, int, int]]) -> None:
    """Neighbours, with little between them; what lies before or far behind is a read of its own."""
    assert [(span.start, span.stop, len(span.entries)) for span in spans(placed(*places))] == found


@given(
    methods=st.lists(st.sampled_from(list(METHODS)), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
    piece=st.integers(1, 300),
    start=st.integers(0, 700),
    size=st.integers(1, 700),
)
def test_any_part_of_any_row(methods: list[int], order: random.Random, piece: int, start: int, size: int) -> None:
    """Whatever their packings and their order in the archive, the row is their contents, and any part of it a slice."""
    members = [Member(b"%d" % n, NOISE[n * 100 : n * 101 + 100], method) for n, method in enumerate(methods)]
    store, entries = stored(members, piece=piece)
    order.shuffle(entries)
    row = b"".join(members[entry.number].content for entry in entries)
    start = min(start, len(row) - 1)
    stop = min(start + size, len(row))
    assert b"".join(in_a_row(store, ID, entries, 0, len(row))) == row
    assert b"".join(in_a_row(store, ID, entries, start, stop)) == row[start:stop]


def test_neighbours_are_one_read_and_large_pieces() -> None:
    """A hundred small frames behind each other cost one read, and are not handed over one by one."""
    members = [Member(b"%03d" % n, NOISE[n : n + 9600], STORED) for n in range(100)]
    store, entries = stored(members)
    found = list(in_a_row(store, ID, entries, 0, 960_000))
    assert b"".join(found) == b"".join(member.content for member in members)
    assert store.reads == [(entries[0].data, entries[-1].data + 9600)]
    assert all(len(piece) >= LEAST for piece in found[:-1])


def test_of_a_part_only_its_frames_are_read() -> None:
    """Frames before and behind it are left alone."""
    members = [Member(b"%03d" % n, NOISE[n : n + 1000], STORED) for n in range(100)]
    store, entries = stored(members)
    wanted = members[40].content[500:] + members[41].content[:500]
    assert b"".join(in_a_row(store, ID, entries, 40_500, 41_500)) == wanted
    assert store.reads == [(entries[40].data, entries[41].data + 1000)]


def test_an_archive_that_was_cut_is_an_error() -> None:
    """What is missing is never made up."""
    members = [Member(b"%03d" % n, NOISE[n : n + 1000], STORED) for n in range(3)]
    store, entries = stored(members)
    put(store, bytes(entries[1].data))
    with pytest.raises(StoreError):
        list(in_a_row(store, ID, entries, 0, 3000))
