"""What every store is held to: the promises of :mod:`ferryman_server.storage.base`, one test each.

A backend's test module subclasses :class:`StoreTests` and
:class:`ferryman_server.storage.testing_machine.StoreMachine`, each with a `make_rig` method; a backend that settles or
keeps small contents also the classes of :mod:`ferryman_server.storage.testing_settling` and
:mod:`ferryman_server.storage.testing_small`. Needs pytest;
`pytest.register_assert_rewrite("ferryman_server.storage.testing")` in a conftest makes failures readable.
"""

import threading
from contextlib import closing

import pytest

from ferryman_server.storage.base import Concatenates, Settles, Store, StoreError, SyncFailed, read_all
from ferryman_server.storage.testing_rig import BAD_IDS, ONE, OTHER, THIRD, Rig, RigTests, publish, put, received


class StoreTests(RigTests):
    """The inherited suite; see the module's docstring."""

    # opening

    def test_the_id_stays_with_the_data(self, rig: Rig) -> None:
        """A store that is opened again tells the same id, also after a power cut."""
        before = rig.store.store_id
        rig.kill()
        assert rig.store.store_id == before
        rig.power_cut()
        assert rig.store.store_id == before

    def test_closing_may_be_repeated(self, store: Store) -> None:
        """`close` is idempotent."""
        store.close()
        store.close()

    def test_the_name_is_one_word(self, store: Store) -> None:
        """Settings and logs name a store by one lower-case word."""
        assert store.name.isidentifier()
        assert store.name == store.name.lower()

    # writing

    def test_pieces_are_appended_in_order(self, store: Store) -> None:
        """What is written can be read back, and `written` counts it."""
        with closing(store.writer(ONE, 0)) as writer:
            assert writer.written == 0
            writer.write(memoryview(b"first "))
            writer.write(memoryview(b"second"))
            assert writer.written == 12
            assert writer.sync() == 12
        assert received(store, ONE, 12) == b"first second"

    def test_a_piece_may_be_reused_after_write(self, store: Store) -> None:
        """The store keeps no reference to the memory behind a piece."""
        memory = bytearray(b"kept")
        with closing(store.writer(ONE, 0)) as writer:
            writer.write(memoryview(memory))
            memory[:] = b"gone"
            writer.sync()
        memory.extend(b"resizing works only when nobody holds a view")
        assert received(store, ONE, 4) == b"kept"

    def test_an_empty_piece_changes_nothing(self, store: Store) -> None:
        """A piece of no bytes is written without complaint."""
        with closing(store.writer(ONE, 0)) as writer:
            writer.write(memoryview(b""))
            assert writer.sync() == 0
        assert store.tail(ONE, 0) == 0

    def test_two_uploads_do_not_mix(self, store: Store) -> None:
        """Uploads with a common beginning of their ids are kept apart."""
        put(store, ONE, b"one")
        put(store, OTHER, b"other")
        assert received(store, ONE, 3) == b"one"
        assert received(store, OTHER, 5) == b"other"

    def test_writing_goes_on_at_an_offset(self, store: Store) -> None:
        """A second writer continues where it is told to."""
        put(store, ONE, b"0123")
        put(store, ONE, b"4567", offset=4)
        assert received(store, ONE, 8) == b"01234567"

    def test_opening_cuts_off_what_lies_beyond(self, store: Store) -> None:
        """Bytes after the offset are gone as soon as the writer is open, before anything is written."""
        put(store, ONE, b"0123456789")
        with closing(store.writer(ONE, 4)):
            assert store.tail(ONE, 4) == 4

    def test_missing_acknowledged_bytes_are_an_error(self, store: Store) -> None:
        """A writer is refused beyond the end, and where there is no data at all; nothing is made up."""
        put(store, ONE, b"0123")
        with pytest.raises(StoreError, match="4 bytes, but 5 were acknowledged"):
            store.writer(ONE, 5)
        with pytest.raises(StoreError, match="missing"):
            store.writer(OTHER, 1)
        assert store.tail(ONE, 0) == 4
        assert store.tail(OTHER, 0) == -1

    def test_a_closed_writer_takes_nothing(self, store: Store) -> None:
        """After `close`, which may be repeated, writing and syncing are errors."""
        writer = store.writer(ONE, 0)
        writer.close()
        writer.close()
        with pytest.raises(StoreError, match="closed"):
            writer.write(memoryview(b"late"))
        with pytest.raises(StoreError, match="closed"):
            writer.sync()

    def test_syncs_run_beside_writes(self, store: Store) -> None:
        """While one thread writes, another syncs: each sync tells an offset that was written before it returned."""
        pieces = [bytes([number]) * 1000 for number in range(200)]
        with closing(store.writer(ONE, 0)) as writer:

            def write_all() -> None:
                for piece in pieces:
                    writer.write(memoryview(piece))

            writing = threading.Thread(target=write_all)
            writing.start()
            offsets = [writer.sync()]
            while writing.is_alive():
                before = writer.written
                offsets.append(writer.sync())
                assert before <= offsets[-1] <= writer.written
            writing.join()
            assert writer.sync() == 200_000
        assert offsets == sorted(offsets)
        assert received(store, ONE, 200_000) == b"".join(pieces)

    @pytest.mark.parametrize("upload_id", BAD_IDS)
    def test_what_is_no_id_reaches_no_file(self, store: Store, upload_id: str) -> None:
        """The caller validates ids; the last door before the data is shut all the same."""
        with pytest.raises(ValueError, match="not an upload id"):
            store.writer(upload_id, 0)
        with pytest.raises(ValueError, match="not an upload id"):
            store.tail(upload_id, 0)
        with pytest.raises(ValueError, match="not an upload id"):
            store.publish(upload_id, 0)
        with pytest.raises(ValueError, match="not an upload id"):
            store.read(upload_id, 0, 0)
        with pytest.raises(ValueError, match="not an upload id"):
            store.discard(upload_id, published=True)

    # what survives

    def test_synced_bytes_survive_a_power_cut(self, rig: Rig) -> None:
        """An offset that `sync` returned is there after a power cut, with the right bytes, for a new upload too."""
        writer = rig.store.writer(ONE, 0)
        writer.write(memoryview(b"durable"))
        assert writer.sync() == 7
        writer.write(memoryview(b" volatile"))
        writer.close()
        rig.power_cut()
        assert rig.store.tail(ONE, 7) >= 7
        assert received(rig.store, ONE, 7) == b"durable"

    def test_written_bytes_survive_a_killed_process(self, rig: Rig) -> None:
        """Without any sync, what was written is there for the next process, exactly."""
        writer = rig.store.writer(ONE, 0)
        writer.write(memoryview(b"not synced"))
        rig.kill()
        writer.close()
        assert rig.store.tail(ONE, 0) == 10
        assert received(rig.store, ONE, 10) == b"not synced"

    def test_an_adopted_tail_is_durable_after_its_sync(self, rig: Rig) -> None:
        """A process that takes over a killed one's bytes makes them durable by one sync, though it wrote nothing."""
        writer = rig.store.writer(ONE, 0)
        writer.write(memoryview(b"left behind"))
        rig.kill()
        writer.close()
        with closing(rig.store.writer(ONE, 11)) as adopting:
            assert adopting.sync() == 11
        rig.power_cut()
        assert received(rig.store, ONE, 11) == b"left behind"

    def test_a_failed_sync_kills_the_writer(self, rig: Rig) -> None:
        """Nothing is retried after a failed sync, even when the disk would take it again."""
        with closing(rig.store.writer(ONE, 0)) as writer:
            writer.write(memoryview(b"good"))
            writer.sync()
            writer.write(memoryview(b"lost"))
            rig.fail_syncs(True)
            with pytest.raises(SyncFailed):
                writer.sync()
            rig.fail_syncs(False)
            with pytest.raises(SyncFailed):
                writer.sync()
            with pytest.raises(SyncFailed):
                writer.write(memoryview(b"more"))

    def test_an_upload_goes_on_after_a_failed_sync(self, rig: Rig) -> None:
        """A new writer at the last synced offset continues; the bytes whose sync failed are not taken for good."""
        with closing(rig.store.writer(ONE, 0)) as writer:
            writer.write(memoryview(b"good"))
            writer.sync()
            writer.write(memoryview(b"lost"))
            rig.fail_syncs(True)
            with pytest.raises(SyncFailed):
                writer.sync()
        rig.fail_syncs(False)
        assert rig.store.tail(ONE, 4) == 4
        put(rig.store, ONE, b"again", offset=4)
        rig.power_cut()
        assert received(rig.store, ONE, 9) == b"goodagain"

    # publishing and reading

    def test_published_bytes_can_be_read(self, rig: Rig) -> None:
        """After `publish` the bytes are readable, whole and in ranges, and stay so after a power cut."""
        publish(rig.store, ONE, b"0123456789")
        rig.power_cut()
        assert read_all(rig.store, ONE, 10) == b"0123456789"
        assert b"".join(rig.store.read(ONE, 3, 7)) == b"3456"
        assert list(rig.store.read(ONE, 10, 10)) == []
        assert rig.store.tail(ONE, 10) == -1

    def test_nothing_is_published_before_publish(self, store: Store) -> None:
        """Bytes that are still being received are not served as a finished file, unless the store leaves finished ones
        where they were received; no walk calls them published in any case."""
        put(store, ONE, b"0123")
        assert [stray.published for stray in store.strays()] == [False]
        if not isinstance(store, Settles):
            with pytest.raises(StoreError, match="missing"):
                read_all(store, ONE, 4)

    def test_publishing_may_be_repeated(self, rig: Rig) -> None:
        """A second `publish`, also by another process, changes nothing."""
        publish(rig.store, ONE, b"once")
        rig.store.publish(ONE, 4)
        rig.kill()
        rig.store.publish(ONE, 4)
        assert read_all(rig.store, ONE, 4) == b"once"

    def test_an_empty_upload_can_be_published(self, rig: Rig) -> None:
        """0 bytes make an empty file, also when no writer was ever opened, durably and repeatably."""
        rig.store.publish(ONE, 0)
        rig.store.publish(ONE, 0)
        put(rig.store, OTHER, b"")
        rig.store.publish(OTHER, 0)
        rig.power_cut()
        assert read_all(rig.store, ONE, 0) == b""
        assert read_all(rig.store, OTHER, 0) == b""

    def test_publishing_cuts_off_an_unacknowledged_tail(self, rig: Rig) -> None:
        """Bytes beyond the length are not part of the file."""
        put(rig.store, ONE, b"0123 and what was never acknowledged")
        rig.store.publish(ONE, 4)
        assert [stray.size for stray in rig.store.strays()] == [4]
        rig.power_cut()
        assert [stray.size for stray in rig.store.strays()] == [4]

    def test_publishing_too_few_bytes_is_an_error(self, store: Store) -> None:
        """Missing bytes are noticed before anything is moved; so is missing data."""
        put(store, ONE, b"0123")
        with pytest.raises(StoreError, match="4 bytes"):
            store.publish(ONE, 5)
        with pytest.raises(StoreError):
            store.publish(OTHER, 1)
        assert received(store, ONE, 4) == b"0123"

    def test_another_published_file_is_never_replaced(self, store: Store) -> None:
        """When other bytes are published under the id already, both are kept and a person is asked."""
        publish(store, ONE, b"mine")
        with pytest.raises(StoreError, match="4 bytes, not 5"):
            store.publish(ONE, 5)
        put(store, ONE, b"your")
        with pytest.raises(StoreError, match="differ"):
            store.publish(ONE, 4)
        assert read_all(store, ONE, 4) == b"mine"
        assert received(store, ONE, 4) == b"your"

    def test_the_same_bytes_in_both_places_become_one(self, store: Store) -> None:
        """A move that a crash caught between its two steps is finished by the next `publish`."""
        publish(store, ONE, b"same")
        put(store, ONE, b"same")
        store.publish(ONE, 4)
        assert read_all(store, ONE, 4) == b"same"
        assert store.tail(ONE, 4) == -1

    def test_pieces_are_at_most_one_mebibyte(self, store: Store) -> None:
        """A long file comes in bounded pieces, and a range may begin and end anywhere."""
        content = bytes(range(256)) * 10_000
        publish(store, ONE, content)
        pieces = list(store.read(ONE, 1, len(content) - 1))
        assert max(len(piece) for piece in pieces) <= 1 << 20
        assert b"".join(pieces) == content[1:-1]

    def test_reading_beyond_the_end_is_an_error_before_any_byte(self, store: Store) -> None:
        """A file that is too short is noticed at the first piece, so that no answer is begun with it."""
        publish(store, ONE, b"0123")
        with pytest.raises(StoreError, match="4 bytes"):
            next(store.read(ONE, 0, 5))
        with pytest.raises(StoreError, match="missing"):
            next(store.read(OTHER, 0, 1))

    def test_an_unpublished_reader_finds_what_was_published_meanwhile(self, store: Store) -> None:
        """Whoever checks a finishing upload after a crash need not know whether its move had been made."""
        publish(store, ONE, b"moved")
        assert received(store, ONE, 5) == b"moved"

    # discarding and looking around

    def test_discarding_frees_unpublished_bytes_only(self, store: Store) -> None:
        """Published bytes are kept unless they are named."""
        publish(store, ONE, b"published")
        put(store, OTHER, b"unpublished")
        for upload_id in (ONE, OTHER):
            store.discard(upload_id)
        assert store.tail(OTHER, 0) == -1
        assert read_all(store, ONE, 9) == b"published"
        store.discard(ONE, published=True)
        with pytest.raises(StoreError, match="missing"):
            read_all(store, ONE, 9)

    def test_discarding_may_be_repeated(self, store: Store) -> None:
        """Missing data is fine."""
        put(store, ONE, b"gone")
        for _ in range(2):
            store.discard(ONE)
            store.discard(OTHER, published=True)
        assert list(store.strays()) == []

    def test_a_new_upload_after_a_discard_is_durable_again(self, rig: Rig) -> None:
        """What was known about a discarded upload's durability says nothing about the next one under its id."""
        put(rig.store, ONE, b"first")
        rig.store.discard(ONE)
        put(rig.store, ONE, b"second")
        rig.power_cut()
        assert received(rig.store, ONE, 6) == b"second"

    def test_the_walk_finds_everything(self, store: Store) -> None:
        """Strays tell id, size and whether they are published; their age is that of the last change."""
        put(store, ONE, b"12")
        publish(store, THIRD, b"123")
        strays = sorted(store.strays(), key=lambda stray: stray.upload_id)
        assert [(stray.upload_id, stray.published, stray.size) for stray in strays] == [
            (ONE, False, 2),
            (THIRD, True, 3),
        ]
        assert all(stray.modified_at > 1_700_000_000 for stray in strays)

    def test_an_abandoned_walk_and_read_leave_nothing_open(self, store: Store) -> None:
        """Generators may be dropped in the middle (an open file would be a ResourceWarning, or a leak)."""
        publish(store, ONE, b"1")
        publish(store, OTHER, b"2")
        next(store.strays())
        next(store.read(ONE, 0, 1))

    def test_free_room_is_a_number_or_unknown(self, store: Store) -> None:
        """The room left is told in bytes where it can be known."""
        free = store.free_bytes()
        assert free is None or free > 0

    # concatenation, where the store can do it

    def test_concatenation_appends_published_uploads(self, rig: Rig) -> None:
        """Sources are put behind each other, durably at return, and stay what they were."""
        store = rig.store
        if isinstance(store, Concatenates):
            publish(store, ONE, b"one")
            publish(store, OTHER, b"other")
            store.concatenate(THIRD, 0, ONE, 3)
            store.concatenate(THIRD, 3, OTHER, 5)
            store.concatenate(THIRD, 8, ONE, 3)
            rig.power_cut()
            rig.store.publish(THIRD, 11)
            assert read_all(rig.store, THIRD, 11) == b"oneotherone"
            assert read_all(rig.store, OTHER, 5) == b"other"

    def test_concatenation_is_repeated_from_the_same_offset(self, store: Store) -> None:
        """What a crash left beyond the offset is cut off first."""
        if isinstance(store, Concatenates):
            publish(store, ONE, b"source")
            put(store, THIRD, b"begin" + b"half a copy that a crash left, longer than the source")
            store.concatenate(THIRD, 5, ONE, 6)
            assert store.tail(THIRD, 0) == 11
            assert received(store, THIRD, 11) == b"beginsource"

    def test_concatenation_checks_its_source(self, store: Store) -> None:
        """A source that is missing or of another length is an error; so is one that is still being received, where the
        store can tell."""
        if isinstance(store, Concatenates):
            publish(store, ONE, b"source")
            put(store, OTHER, b"unpublished")
            unpublished = [] if isinstance(store, Settles) else [(OTHER, 11)]
            for source, length in [(ONE, 5), (ONE, 7), (OTHER, 10), ("b" * 26, 0), *unpublished]:
                with pytest.raises(StoreError):
                    store.concatenate(THIRD, 0, source, length)
            with pytest.raises(ValueError, match="not an upload id"):
                store.concatenate(THIRD, 0, "../" + ONE, 1)
