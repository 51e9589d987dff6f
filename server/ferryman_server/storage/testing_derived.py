"""What every store is held to that :class:`ferryman_server.storage.derived.KeepsDerived`."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ferryman_server.media.derivatives import FILM, POSTER, place_of
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.derived import DerivedFiles, KeepsDerived
from ferryman_server.storage.testing_rig import BAD_IDS, ONE, OTHER, Rig, RigTests

MIB = 1 << 20
FIRST = place_of(ONE, 12, POSTER)
SECOND = place_of(ONE, 12, FILM)
LATER = place_of(ONE, 13, POSTER)
OTHERS = place_of(OTHER, 9, POSTER)
BAD_PLACES = (
    *(place_of(bad, 1, POSTER) for bad in BAD_IDS),
    ONE,
    f"{ONE}-1",
    f"{ONE}-1-",
    f"{ONE}--1-poster.jpg",
    f"{ONE}-1-../../../store.toml",
    f"{ONE}-1-poster.jpg/",
    f"{ONE}-1-poster.jpg\n",
    f"{ONE}-1-poster.jpg.0123456789ab.new",
)


class DerivedTests(RigTests):
    """To be inherited beside :class:`ferryman_server.storage.testing.StoreTests`."""

    def test_what_was_put_can_be_read(self, rig: Rig) -> None:
        """Whole and in ranges, also after a power cut; each place has its own."""
        deriving(rig.store).put(FIRST, b"0123456789")
        deriving(rig.store).put(SECOND, b"film")
        for _ in range(2):
            derived = deriving(rig.store)
            assert (content(derived, FIRST), content(derived, SECOND)) == (b"0123456789", b"film")
            assert b"".join(derived.read(FIRST, 3, 7)) == b"3456"
            assert list(derived.read(FIRST, 10, 10)) == []
            assert (derived.size(FIRST), derived.size(LATER)) == (10, None)
            rig.power_cut()

    def test_a_large_one_comes_in_pieces(self, store: Store) -> None:
        """Of at most 1 MiB."""
        derived, whole = deriving(store), bytes(range(256)) * 4096 * 2 + b"end"
        derived.put(SECOND, whole)
        pieces = [bytes(piece) for piece in derived.read(SECOND, 1, len(whole))]
        assert max(map(len, pieces)) <= MIB
        assert b"".join(pieces) == whole[1:]

    def test_an_empty_one_is_there_too(self, rig: Rig) -> None:
        """0 bytes are something else than nothing."""
        deriving(rig.store).put(FIRST, b"")
        rig.power_cut()
        assert deriving(rig.store).size(FIRST) == 0
        assert content(deriving(rig.store), FIRST) == b""

    def test_putting_again_replaces(self, rig: Rig) -> None:
        """Shorter, longer, or the same: the last one is there."""
        for made in (b"first", b"2nd", b"the third", b"the third"):
            deriving(rig.store).put(FIRST, made)
            assert content(deriving(rig.store), FIRST) == made
            rig.power_cut()
            assert content(deriving(rig.store), FIRST) == made
        assert [kept.place for kept in deriving(rig.store).places()] == [FIRST]

    @pytest.mark.parametrize("stop", [6, 5 * MIB])
    def test_what_is_not_all_there_is_not_read(self, store: Store, stop: int) -> None:
        """Nor what is not there at all; the error comes before any piece."""
        deriving(store).put(FIRST, b"01234")
        for place in (FIRST, LATER):
            with pytest.raises(StoreError):
                next(iter(deriving(store).read(place, 0, stop)))

    def test_freeing_may_be_repeated(self, rig: Rig) -> None:
        """What is freed is gone for good, and nothing else is."""
        derived = deriving(rig.store)
        derived.put(FIRST, b"first")
        derived.put(SECOND, b"second")
        for _ in range(2):
            deriving(rig.store).free(FIRST)
            rig.power_cut()
        derived = deriving(rig.store)
        assert (derived.size(FIRST), content(derived, SECOND)) == (None, b"second")
        derived.free(LATER)
        derived.put(FIRST, b"again")
        assert content(derived, FIRST) == b"again"

    def test_the_walk_finds_all_of_it(self, store: Store) -> None:
        """With sizes, and the times at which they were put."""
        derived, before = deriving(store), time.time()
        assert list(derived.places()) == []
        sizes = {FIRST: 5, SECOND: 0, LATER: 3, OTHERS: 7}
        for place, size in sizes.items():
            derived.put(place, b"x" * size)
        found = list(derived.places())
        assert {kept.place: kept.size for kept in found} == sizes
        assert len(found) == len(sizes)
        assert all(before - 2 <= kept.modified_at <= time.time() + 2 for kept in found)  # whole seconds, other clocks

    def test_it_is_no_uploads_data(self, store: Store) -> None:
        """The walk for strays passes it over, though the places hold ids; and freeing an upload leaves it alone."""
        deriving(store).put(FIRST, b"first")
        assert list(store.strays()) == []
        store.discard(ONE, published=True)
        assert content(deriving(store), FIRST) == b"first"

    def test_nothing_is_tidied_away_that_is_there(self, store: Store) -> None:
        """However old it is."""
        deriving(store).put(FIRST, b"first")
        assert deriving(store).tidy(time.time() + 1e6) == 0
        assert content(deriving(store), FIRST) == b"first"

    def test_two_may_put_at_one_place(self, store: Store) -> None:
        """One of them wins, whole."""
        derived, contents = deriving(store), [bytes([number]) * 200_000 for number in range(4)]

        def put(made: bytes) -> None:
            try:
                derived.put(FIRST, made)
            except StoreError:  # the others were quicker, and say so
                assert content(derived, FIRST) in contents

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(put, contents))
        assert content(derived, FIRST) in contents

    def test_a_failed_put_leaves_no_half(self, rig: Rig) -> None:
        """What was there stays, and it can be tried again."""
        derived = deriving(rig.store)
        derived.put(FIRST, b"first")
        rig.fail_syncs(True)
        for place in (FIRST, SECOND):
            with pytest.raises(StoreError):
                derived.put(place, b"never durable")
        rig.fail_syncs(False)
        assert [kept.place for kept in derived.places()] == [FIRST]
        assert content(derived, FIRST) == b"first"
        derived.put(SECOND, b"second")
        rig.power_cut()
        assert content(deriving(rig.store), SECOND) == b"second"

    @pytest.mark.parametrize("name", BAD_PLACES)
    def test_what_is_no_place_is_refused(self, store: Store, name: str) -> None:
        """The caller makes places with `place_of`; the last door before the data is shut all the same."""
        derived = deriving(store)
        doings: list[Callable[[], object]] = [
            lambda: derived.put(name, b""),
            lambda: derived.read(name, 0, 0),
            lambda: derived.size(name),
            lambda: derived.free(name),
        ]
        for do in doings:
            with pytest.raises(ValueError, match="not a place"):
                do()


def deriving(store: Store) -> DerivedFiles:
    """What is made of uploads in a store that keeps it."""
    assert isinstance(store, KeepsDerived)
    return store.derived


def content(derived: DerivedFiles, place: str) -> bytes:
    """All of what lies there."""
    size = derived.size(place)
    assert size is not None
    return b"".join(bytes(piece) for piece in derived.read(place, 0, size))
