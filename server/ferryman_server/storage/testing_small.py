"""What every store is held to that :class:`ferryman_server.storage.base.KeepsSmall`."""

from collections.abc import Sequence

import pytest

from ferryman_server.storage.base import Concatenates, KeepsSmall, Store, StoreError, SyncFailed, read_all
from ferryman_server.storage.testing_rig import BAD_IDS, ONE, OTHER, THIRD, Rig, RigTests, put, received


class SmallTests(RigTests):
    """To be inherited beside :class:`ferryman_server.storage.testing.StoreTests`."""

    def test_a_kept_content_is_read_as_published(self, store: Store) -> None:
        """From the moment it is kept, whole and in ranges; a range beyond its end is an error before any byte."""
        keeping(store).keep(ONE, b"0123456789")
        assert read_all(store, ONE, 10) == b"0123456789"
        assert b"".join(store.read(ONE, 3, 7)) == b"3456"
        assert received(store, ONE, 10) == b"0123456789"
        assert list(store.read(ONE, 10, 10)) == []
        with pytest.raises(StoreError, match="10 bytes"):
            next(store.read(ONE, 0, 11))

    def test_a_kept_content_is_no_stray(self, store: Store) -> None:
        """Nothing of it is in the store's place yet."""
        keeping(store).keep(ONE, b"kept")
        assert list(store.strays()) == []

    @pytest.mark.parametrize("count", [1, 3, 40])
    def test_what_is_written_out_is_durable(self, rig: Rig, count: int) -> None:
        """Few or many at a time: published for good, and not in memory any more."""
        contents = some(count)
        keep_all(rig.store, contents)
        assert write_out(rig.store, list(contents)) == set(contents)
        rig.power_cut()
        assert {stray.upload_id: (stray.published, stray.size) for stray in rig.store.strays()} == {
            upload_id: (True, len(content)) for upload_id, content in contents.items()
        }
        for upload_id, content in contents.items():
            assert read_all(rig.store, upload_id, len(content)) == content

    def test_only_what_is_named_is_written_out(self, rig: Rig) -> None:
        """The commit of another one may not be known yet."""
        keep_all(rig.store, {ONE: b"one", OTHER: b"other"})
        assert write_out(rig.store, [ONE]) == {ONE}
        assert [stray.upload_id for stray in rig.store.strays()] == [ONE]
        assert read_all(rig.store, OTHER, 5) == b"other"

    def test_an_empty_content_is_kept_and_written_out(self, rig: Rig) -> None:
        """0 bytes are an upload too."""
        keeping(rig.store).keep(ONE, b"")
        assert read_all(rig.store, ONE, 0) == b""
        write_out(rig.store, [ONE])
        rig.power_cut()
        assert read_all(rig.store, ONE, 0) == b""
        assert [stray.size for stray in rig.store.strays()] == [0]

    @pytest.mark.parametrize("crash", ["a kill", "a power cut"])
    @pytest.mark.parametrize("count", [1, 40])
    def test_a_content_may_be_kept_and_written_out_again(self, rig: Rig, crash: str, count: int) -> None:
        """A process that does not know how far the last one came does it all over."""
        contents = some(count)
        for _ in range(3):
            keep_all(rig.store, contents)
            assert write_out(rig.store, list(contents)) == set(contents)
            if crash == "a kill":
                rig.kill()
            else:
                rig.power_cut()
        for upload_id, content in contents.items():
            assert read_all(rig.store, upload_id, len(content)) == content

    def test_nothing_is_kept_beyond_the_process(self, rig: Rig) -> None:
        """What was not written out is lost here with it, so that it has to be durable elsewhere."""
        keeping(rig.store).keep(ONE, b"in memory")
        rig.kill()
        with pytest.raises(StoreError, match="missing"):
            read_all(rig.store, ONE, 9)

    def test_a_content_that_is_let_go_is_gone(self, store: Store) -> None:
        """The commit failed: nothing can be read, and nothing is written out."""
        keeping(store).keep(ONE, b"never complete")
        keeping(store).let_go(ONE)
        keeping(store).let_go(OTHER)
        assert write_out(store, [ONE]) == {ONE}
        assert list(store.strays()) == []
        with pytest.raises(StoreError, match="missing"):
            read_all(store, ONE, 14)

    def test_discarding_frees_what_is_kept(self, store: Store) -> None:
        """It never becomes a file, and it need not be kept elsewhere any more."""
        keep_all(store, {ONE: b"one", OTHER: b"other"})
        store.discard(ONE, published=True)
        with pytest.raises(StoreError, match="missing"):
            read_all(store, ONE, 3)
        assert write_out(store, [ONE, OTHER]) == {ONE, OTHER}
        assert [stray.upload_id for stray in store.strays()] == [OTHER]

    def test_discarding_frees_what_was_written_out(self, rig: Rig) -> None:
        """For good."""
        keeping(rig.store).keep(ONE, b"one")
        write_out(rig.store, [ONE])
        rig.store.discard(ONE, published=True)
        rig.power_cut()
        assert list(rig.store.strays()) == []

    @pytest.mark.parametrize("count", [1, 40])
    def test_a_failed_sync_leaves_all_kept(self, rig: Rig, count: int) -> None:
        """They are read from memory, a crash takes nothing that is known elsewhere, and the next time they are written
        anew."""
        contents = some(count)
        keep_all(rig.store, contents)
        rig.fail_syncs(True)
        with pytest.raises(SyncFailed):
            write_out(rig.store, list(contents))
        for upload_id, content in contents.items():
            assert read_all(rig.store, upload_id, len(content)) == content
        rig.fail_syncs(False)
        for _ in range(2):  # the second time with the sync for all again, where there is one
            assert write_out(rig.store, list(contents)) == set(contents)
            keep_all(rig.store, contents)
        rig.power_cut()
        for upload_id, content in contents.items():
            assert read_all(rig.store, upload_id, len(content)) == content

    def test_what_an_earlier_request_left_is_not_read(self, rig: Rig) -> None:
        """An upload that is still empty may have bytes that no commit knows of: they are neither published nor read."""
        put(rig.store, ONE, b"left by a request that broke off")
        keeping(rig.store).keep(ONE, b"right")
        for _ in range(2):
            assert read_all(rig.store, ONE, 5) == b"right"
            write_out(rig.store, [ONE])
        rig.power_cut()
        assert read_all(rig.store, ONE, 5) == b"right"
        rig.store.discard(ONE, published=True)
        assert rig.store.tail(ONE, 0) == -1

    def test_concatenation_takes_kept_sources(self, rig: Rig) -> None:
        """A small partial upload is complete as soon as its row says so."""
        store = rig.store
        if isinstance(store, Concatenates):
            keeping(store).keep(ONE, b"one")
            store.concatenate(THIRD, 0, ONE, 3)
            with pytest.raises(StoreError, match="3 bytes"):
                store.concatenate(THIRD, 3, ONE, 4)
            rig.power_cut()
            assert received(rig.store, THIRD, 3) == b"one"

    @pytest.mark.parametrize("upload_id", BAD_IDS)
    def test_what_is_no_id_is_not_kept(self, store: Store, upload_id: str) -> None:
        """The caller validates ids; the last door before the data is shut all the same."""
        with pytest.raises(ValueError, match="not an upload id"):
            keeping(store).keep(upload_id, b"")


def some(count: int) -> dict[str, bytes]:
    """So many contents by id, of different sizes."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return {letters[number % 32] * 2 + letters[number // 32] * 24: bytes([number]) * number for number in range(count)}


def keeping(store: Store) -> KeepsSmall:
    """The store, as one that can."""
    assert isinstance(store, KeepsSmall)
    return store


def keep_all(store: Store, contents: dict[str, bytes]) -> None:
    """Keep them all."""
    for upload_id, content in contents.items():
        keeping(store).keep(upload_id, content)


def write_out(store: Store, ids: Sequence[str]) -> set[str]:
    """Write out; the ids that need not be kept elsewhere."""
    return set(keeping(store).write_out(ids))
