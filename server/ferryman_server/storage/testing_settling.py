"""What every store is held to that :class:`ferryman_server.storage.base.Settles`."""

import threading
from contextlib import closing

import pytest

from ferryman_server.storage.base import Concatenates, Settles, Store, StoreError, read_all
from ferryman_server.storage.testing_rig import BAD_IDS, ONE, OTHER, THIRD, Rig, RigTests, publish, put


class SettlingTests(RigTests):
    """To be inherited beside :class:`ferryman_server.storage.testing.StoreTests`."""

    def test_what_is_complete_can_be_read_before_it_is_settled(self, rig: Rig) -> None:
        """Its row says so, and the bytes are durable where they were received: whole, in ranges, after a power cut."""
        put(rig.store, ONE, b"0123456789")
        for _ in range(2):
            assert read_all(rig.store, ONE, 10) == b"0123456789"
            assert b"".join(rig.store.read(ONE, 3, 7)) == b"3456"
            rig.power_cut()

    def test_settled_data_are_where_published_ones_are(self, rig: Rig) -> None:
        """The walk says so, and they can be read as before."""
        put(rig.store, ONE, b"0123")
        settle(rig.store, ONE, 4)
        assert [(stray.published, stray.size) for stray in rig.store.strays()] == [(True, 4)]
        assert read_all(rig.store, ONE, 4) == b"0123"

    @pytest.mark.parametrize("crash", ["a kill", "a power cut"])
    def test_settling_is_repeatable_at_every_crash_point(self, rig: Rig, crash: str) -> None:
        """A crash may undo it, but takes no byte; the next time it holds."""
        put(rig.store, ONE, b"0123")
        for _ in range(3):
            settle(rig.store, ONE, 4)
            if crash == "a kill":
                rig.kill()
            else:
                rig.power_cut()
            assert read_all(rig.store, ONE, 4) == b"0123"
        settle(rig.store, ONE, 4)
        settle(rig.store, ONE, 4)
        assert [stray.published for stray in rig.store.strays()] == [True]

    def test_other_uploads_syncs_take_nothing_of_what_was_settled(self, rig: Rig) -> None:
        """The move is not synced. Whatever is synced for others meanwhile, by this process or the next one, a power cut
        finds the bytes in one place at least."""
        put(rig.store, ONE, b"settled")
        settle(rig.store, ONE, 7)
        put(rig.store, OTHER, b"neighbour")  # in the same folder, where a store has such
        rig.power_cut()
        assert read_all(rig.store, ONE, 7) == b"settled"
        settle(rig.store, ONE, 7)
        rig.kill()  # the next process does not know of that move
        put(rig.store, ONE[:2] + "b" * 24, b"neighbour")
        rig.power_cut()
        assert read_all(rig.store, ONE, 7) == b"settled"

    def test_what_was_settled_may_be_published(self, rig: Rig) -> None:
        """Publishing makes a settled upload's place durable."""
        put(rig.store, ONE, b"0123")
        settle(rig.store, ONE, 4)
        rig.store.publish(ONE, 4)
        rig.power_cut()
        assert [stray.published for stray in rig.store.strays()] == [True]
        assert read_all(rig.store, ONE, 4) == b"0123"

    def test_settling_what_is_gone_is_fine(self, rig: Rig) -> None:
        """A deletion may have come in between, or another process may have settled it."""
        settle(rig.store, ONE, 4)
        put(rig.store, ONE, b"0123")
        rig.store.discard(ONE, published=True)
        settle(rig.store, ONE, 4)
        assert list(rig.store.strays()) == []

    def test_data_of_another_length_are_not_settled(self, rig: Rig) -> None:
        """A row and a file that differ are told, and nothing is moved."""
        put(rig.store, ONE, b"0123")
        for length in (3, 5):
            with pytest.raises(StoreError, match=f"{length} bytes"):
                settle(rig.store, ONE, length)
        assert [stray.published for stray in rig.store.strays()] == [False]

    def test_a_published_upload_loses_what_else_is_left_of_it(self, rig: Rig) -> None:
        """The published bytes are the right ones: an earlier request's, of whatever length, are freed."""
        publish(rig.store, ONE, b"right")
        for left in (b"wrong", b"also wrong"):
            put(rig.store, ONE, left)
            settle(rig.store, ONE, 5)
            assert rig.store.tail(ONE, 0) == -1
            assert read_all(rig.store, ONE, 5) == b"right"

    def test_discarding_frees_what_is_settled_and_what_is_not_yet(self, rig: Rig) -> None:
        """Both places are looked at; a power cut makes nothing of them published again."""
        put(rig.store, ONE, b"not yet")
        put(rig.store, OTHER, b"settled")
        settle(rig.store, OTHER, 7)
        for upload_id in (ONE, OTHER):
            rig.store.discard(upload_id, published=True)
            with pytest.raises(StoreError, match="missing"):
                read_all(rig.store, upload_id, 7)
        assert list(rig.store.strays()) == []
        rig.power_cut()
        assert [stray for stray in rig.store.strays() if stray.published] == []

    def test_a_deletion_and_a_settlement_at_once_leave_nothing(self, rig: Rig) -> None:
        """Whichever comes first."""
        for number in range(50):
            put(rig.store, ONE, b"0123")
            deleting = threading.Thread(target=rig.store.discard, args=(ONE,), kwargs={"published": True})
            settling = threading.Thread(target=settle, args=(rig.store, ONE, 4))
            for thread in (deleting, settling) if number % 2 else (settling, deleting):
                thread.start()
            deleting.join()
            settling.join()
            assert list(rig.store.strays()) == []

    def test_a_reader_finds_bytes_that_move_meanwhile(self, rig: Rig) -> None:
        """Looking in one place and then in the other misses nothing."""
        failures: list[StoreError] = []

        def read_on() -> None:
            while moving.is_alive():
                try:
                    assert read_all(rig.store, uploads[at[0]], 4) == b"0123"
                except StoreError as failure:
                    failures.append(failure)

        def move() -> None:
            for number, upload_id in enumerate(uploads):
                at[0] = number
                settle(rig.store, upload_id, 4)

        uploads, at = [f"aa{number:024d}".translate(_LETTERS) for number in range(200)], [0]
        for upload_id in uploads:
            put(rig.store, upload_id, b"0123")
        moving = threading.Thread(target=move)
        moving.start()
        read_on()
        moving.join()
        assert failures == []

    def test_concatenation_takes_sources_that_are_not_settled(self, rig: Rig) -> None:
        """A partial upload is complete as soon as its row says so."""
        store = rig.store
        if isinstance(store, Concatenates):
            put(store, ONE, b"one")
            put(store, OTHER, b"other")
            settle(store, OTHER, 5)
            store.concatenate(THIRD, 0, ONE, 3)
            store.concatenate(THIRD, 3, OTHER, 5)
            with closing(store.writer(THIRD, 8)):
                pass
            assert b"".join(store.read(THIRD, 0, 8, published=False)) == b"oneother"

    @pytest.mark.parametrize("upload_id", BAD_IDS)
    def test_what_is_no_id_settles_no_file(self, rig: Rig, upload_id: str) -> None:
        """The caller validates ids; the last door before the data is shut all the same."""
        with pytest.raises(ValueError, match="not an upload id"):
            settle(rig.store, upload_id, 0)


_LETTERS = str.maketrans("0189", "wxyz")  # ids have no such digits


def settle(store: Store, upload_id: str, length: int) -> None:
    """Settle in a store that can."""
    assert isinstance(store, Settles)
    store.settle(upload_id, length)
