"""The S3 store on a real MinIO: what is told is there, what is finished is right, what is over leaves nothing."""

import random
import threading
from dataclasses import replace

import pytest

from ferryman_protocol.model import Concat, Phase
from ferryman_server.digests import crc64
from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import StoreError, Writer
from ferryman_server.storage.ledger import KeepsNoBooks
from ferryman_server.storage.s3 import S3Store
from ferryman_server.storage.s3_books import CREATING, NEXT, UPLOAD, part_size, read_books
from ferryman_server.storage.s3_memory import SLICE
from ferryman_server.storage.s3_numbers import AHEAD
from ferryman_server.storage.s3_sums import summed
from ferryman_server.storage.s3_writer import S3Writer
from ferryman_server.storage.s3_yard import SENDERS
from ferryman_server.storage.testing_rig import BAD_IDS, ONE, OTHER
from tests.server.storage.s3_rig import MIB, Place, checkpoint, committed, fill, finished, opened, write

PART = 8 * MIB
CONTENT = random.Random(5).randbytes(40 * MIB)


def nothing_open(place: Place, store: S3Store) -> bool:
    """Whether no multipart upload is open under any key that an upload ever had."""
    targets = [entry.target for entry in place.shelf.entries.values()]
    return not any(s3_calls.open_uploads(store._client, target) for target in targets if target is not None)


def test_a_file_within_a_part_is_one_object_at_once(place: Place) -> None:
    """Up to a part's size there is no multipart upload, and no second step: it is published when it is complete."""
    store = place.store()
    for upload_id, size in ((ONE, PART), (OTHER, 1)):
        place.create(upload_id, length=size)
        writer = opened(place, store, upload_id)
        write(writer, CONTENT[:size])
        assert writer.complete() is True
        noted = writer.noted()
        assert (noted.published, noted.mark.offset, noted.mark.crc64) == (True, size, crc64([CONTENT[:size]]))
        writer.close()
        assert place.content(upload_id) == CONTENT[:size]


def test_the_object_says_what_it_is(place: Place) -> None:
    """People browse the bucket: key, type, name and id of the upload are at the object, and so is its checksum."""
    store = place.store()
    place.create(ONE, length=20 * MIB, filename="Film über Nacht.mp4", content_type="video/mp4")
    writer = opened(place, store, ONE)
    write(writer, CONTENT[: 20 * MIB])
    finished(place, store, writer, ONE)
    key = f"library/2026-11-18/{ONE}/Film über Nacht.mp4"
    assert place.keys() == [key]
    status = place.minio.client().stat_object(place.bucket, key)
    assert (status.size, status.content_type) == (20 * MIB, "video/mp4")
    assert status.metadata is not None
    assert status.metadata["x-amz-meta-ferryman-upload"] == ONE
    disposition = status.metadata["content-disposition"]
    assert disposition == "attachment; filename=\"Film _ber Nacht.mp4\"; filename*=UTF-8''Film%20%C3%BCber%20Nacht.mp4"
    head = s3_calls.head(store._client, key)
    assert head is not None
    assert head.has(summed([CONTENT[: 20 * MIB]]))


def test_parts_become_durable_while_the_next_ones_fill(place: Place) -> None:
    """Nobody has to sync: full parts are acknowledged by themselves, and whoever asks is told how far."""
    store, told = place.store(), threading.Semaphore(0)
    place.create(ONE, length=40 * MIB)
    writer = opened(place, store, ONE, told=told.release)
    write(writer, CONTENT[: 36 * MIB])
    for _ in range(4):
        assert told.acquire(timeout=20)
    noted = committed(place, writer, ONE)
    assert noted.mark.offset == 4 * PART
    assert noted.mark.crc64 == crc64([CONTENT[: 4 * PART]])
    writer.close()


def test_requests_that_end_anywhere_leave_tails_and_the_object_is_right(place: Place) -> None:
    """Each request's end is durable, whatever its size; what lies behind the last part goes into the next one, and no
    tail is left when the upload is complete."""
    store, offset, choose = place.store(), 0, random.Random(7)
    place.create(ONE, length=len(CONTENT))
    while offset < len(CONTENT):
        writer = opened(place, store, ONE)
        step = min(choose.choice([1, 1000, MIB, 3 * MIB + 1, PART, 11 * MIB]), len(CONTENT) - offset)
        write(writer, CONTENT[offset : offset + step])
        offset += step
        if offset == len(CONTENT):
            finished(place, store, writer, ONE)
        else:
            assert checkpoint(place, writer, ONE).mark.offset == offset
            writer.close()
    assert place.content(ONE) == CONTENT
    assert len(place.keys_at_rest(1)) == 1


def test_many_tails_become_one(place: Place) -> None:
    """A slow upload whose bytes are made durable again and again has a few tails only, all of them right."""
    store = place.store()
    place.create(ONE, length=5000)
    writer = opened(place, store, ONE)
    for number in range(50):
        write(writer, CONTENT[number * 100 : number * 100 + 100])
        if number < 49:
            checkpoint(place, writer, ONE)
            assert len(read_books(place.shelf.entries[ONE].notes).tails) <= 8
    finished(place, store, writer, ONE)
    assert place.content(ONE) == CONTENT[:5000]
    assert len(place.keys_at_rest(1)) == 1


@pytest.mark.parametrize(
    ("taken", "brings", "sizes"),
    [
        pytest.param(0, 40, [8, 16, 16], id="a long body"),
        pytest.param(0, 34, [8, 16, 8], id="it ends amid a part"),
        pytest.param(0, 24, [8, 16], id="it ends with a part"),
        pytest.param(0, 16, [8, 8], id="two parts"),
        pytest.param(33, 40, [8, 8, 8, 8, 8], id="memory is short"),
    ],
)
def test_parts_are_larger_where_bytes_flow(place: Place, taken: int, brings: int, sizes: list[int]) -> None:
    """Half as many requests and commits, if there is memory for that; never more than the request will fill."""
    store = place.store()
    store._yard.memory.take(taken * MIB, lambda: False)  # of 64 MiB, by others
    place.create(ONE, length=len(CONTENT) + 1)
    writer = opened(place, store, ONE, ends_at=brings * MIB)
    fill(writer, CONTENT[: brings * MIB])
    assert checkpoint(place, writer, ONE).mark.offset == brings * MIB
    writer.close()
    books = read_books(place.shelf.entries[ONE].notes)
    assert [part.size // MIB for part in books.parts] == sizes
    assert sum(tail.size for tail in books.tails) == (brings - sum(sizes)) * MIB


def test_a_body_that_is_stopped_does_not_wait_for_the_parts_on_their_way(place: Place) -> None:
    """Whoever takes the upload over need not wait for what the older request was waiting for; what came is kept."""
    store, gate = place.store(), threading.Event()
    for _ in range(SENDERS):
        store._senders.submit(gate.wait, 20)
    place.create(ONE, length=len(CONTENT))
    writer = opened(place, store, ONE)
    fill(writer, CONTENT[: 4 * PART])  # three are on their way, and one is full
    stopping = threading.Timer(0.1, writer.leave_off)
    stopping.start()
    assert len(writer.space()) == 0
    writer.filled(0)
    gate.set()
    assert checkpoint(place, writer, ONE).mark.offset == 4 * PART
    writer.close()


def test_what_was_to_be_a_large_part_goes_on_in_a_small_request(place: Place) -> None:
    """A request broke off amid a part of 16 MiB, with more of it than a part of the usual size."""
    store = place.store()
    place.create(ONE, length=len(CONTENT))
    for start, stop in ((0, 20 * MIB), (20 * MIB, 21 * MIB), (21 * MIB, len(CONTENT))):
        writer = opened(place, store, ONE, ends_at=len(CONTENT) if not start else stop)
        fill(writer, CONTENT[start:stop])
        if stop < len(CONTENT):
            assert checkpoint(place, writer, ONE).mark.offset == stop
            writer.close()
    finished(place, store, writer, ONE)
    assert place.content(ONE) == CONTENT


def test_parts_that_are_larger_than_memory_likes_gather_as_tails(place: Place) -> None:
    """An upload of a tebibyte has parts of more than a hundred megabytes: no more than 32 MiB of one are in memory, and
    nothing has to be sent again because a part was not full."""
    store = place.store()
    place.create(ONE, length=1 << 40)
    writer = opened(place, store, ONE)
    whole = CONTENT * 4
    for start in range(0, len(whole), MIB):
        writer.write(memoryview(whole)[start : start + MIB])
        assert writer._run.taken <= 32 * MIB
    assert checkpoint(place, writer, ONE).mark.offset == len(whole)
    books = read_books(place.shelf.entries[ONE].notes)
    assert [part.size for part in books.parts] == [part_size(0, 1, length=1 << 40)]
    assert books.end == len(whole)
    finished(place, store, writer, ONE)
    assert place.content(ONE) == whole


def test_a_killed_process_loses_only_what_was_not_committed(place: Place) -> None:
    """The next process goes on at the row's offset; parts of the killed one that were never committed do not count, and
    their numbers are not taken again."""
    place.create(ONE, length=len(CONTENT))
    first = place.store()
    writer = opened(place, first, ONE)
    write(writer, CONTENT[: 10 * MIB])
    checkpoint(place, writer, ONE)
    write(writer, bytes(20 * MIB))  # other bytes: they are sent, and nobody commits them
    writer.sync()
    used = writer._sender.numbers.next
    second = place.store()
    assert second.tail(ONE, 0) == 10 * MIB
    writer = opened(place, second, ONE)
    write(writer, CONTENT[10 * MIB :])
    finished(place, second, writer, ONE)
    assert place.content(ONE) == CONTENT
    assert used > 2
    assert nothing_open(place, second)


def test_numbers_are_not_taken_twice(place: Place) -> None:
    """Before a part is sent its number is noted as taken, some at once: the next request goes on with those, another
    process, which cannot know which of them were used, behind them."""
    place.create(ONE, length=len(CONTENT))
    store, numbers = place.store(), []
    for start in range(0, 32 * MIB, 8 * MIB):
        writer = opened(place, store if start < 24 * MIB else place.store(), ONE)
        write(writer, CONTENT[start : start + 8 * MIB])
        checkpoint(place, writer, ONE)
        writer.close()
        numbers.append(int(place.shelf.entries[ONE].notes[NEXT]))
    assert numbers == [1 + AHEAD] * 3 + [1 + 2 * AHEAD]
    assert [part.number for part in read_books(place.shelf.entries[ONE].notes).parts] == [1, 2, 3, 1 + AHEAD]


def test_a_multipart_upload_whose_id_was_lost_is_found_and_aborted(place: Place) -> None:
    """A process died between creating it and committing its id: the next one aborts it before it creates its own, and
    so does whoever discards the upload."""
    store = place.store()
    for upload_id in (ONE, OTHER):
        place.create(upload_id, length=len(CONTENT))
        target = place.shelf.entries[upload_id].target
        assert target is not None
        writer = opened(place, store, upload_id)
        write(writer, CONTENT[: 9 * MIB])
        writer.sync()
        writer.close()
        assert CREATING in place.shelf.entries[upload_id].notes
        assert UPLOAD not in place.shelf.entries[upload_id].notes
        assert len(s3_calls.open_uploads(store._client, target)) == 1
    writer = opened(place, store, ONE)
    write(writer, CONTENT)
    finished(place, store, writer, ONE)
    store.discard(OTHER)
    assert nothing_open(place, store)
    assert place.content(ONE) == CONTENT


def test_a_put_that_was_not_recorded_is_recognised(place: Place) -> None:
    """A process died between the PUT and its commit: the same bytes are found to be there, and other bytes (the client
    has another file now) take their place."""
    store = place.store()
    place.create(ONE, length=1000)
    for content in (CONTENT[:1000], CONTENT[:1000], CONTENT[1000:2000]):
        writer = opened(place, store, ONE)
        write(writer, content)
        assert writer.complete() is True
        writer.close()
        assert place.content(ONE) == content


def test_a_complete_that_was_not_recorded_is_recognised(place: Place) -> None:
    """A process died between Complete and its commit, or before Complete: publishing again makes no difference."""
    store = place.store()
    place.create(ONE, length=len(CONTENT))
    writer = opened(place, store, ONE)
    write(writer, CONTENT)
    assert writer.complete() is False
    committed(place, writer, ONE, Phase.FINISHING)
    writer.close()
    for _ in range(2):
        store.publish(ONE, len(CONTENT))
    place.store().publish(ONE, len(CONTENT))
    assert place.content(ONE) == CONTENT


def test_an_empty_file_can_be_published(place: Place) -> None:
    """No bytes at all make an empty object, repeatably."""
    store = place.store()
    place.create(ONE, length=0)
    for _ in range(2):
        store.publish(ONE, 0)
    assert place.content(ONE) == b""
    assert list(store.read(ONE, 0, 0)) == []


def test_what_lies_in_tails_alone_can_be_published(place: Place) -> None:
    """An upload of unknown length may end without another byte: tails become its object, or its last part."""
    store = place.store()
    for upload_id, size in ((ONE, 3 * MIB), (OTHER, 19 * MIB)):
        place.create(upload_id)
        writer = opened(place, store, upload_id)
        write(writer, CONTENT[:size])
        checkpoint(place, writer, upload_id)
        writer.close()
        for _ in range(2):
            store.publish(upload_id, size)
        assert place.content(upload_id) == CONTENT[:size]


def test_publishing_what_is_not_there_is_an_error(place: Place) -> None:
    """Missing bytes are noticed; nothing is made up."""
    store = place.store()
    place.create(ONE, length=10)
    with pytest.raises(StoreError, match="0 bytes, not 10"):
        store.publish(ONE, 10)
    with pytest.raises(StoreError, match="missing"):
        store.publish(OTHER, 0)


def test_any_range_of_a_finished_upload_can_be_read(place: Place) -> None:
    """Pieces of at most 1 MiB; a range beyond the end, or an object that is gone, is an error before any piece."""
    store = place.store()
    place.create(ONE, length=10 * MIB)
    writer = opened(place, store, ONE)
    write(writer, CONTENT[: 10 * MIB])
    finished(place, store, writer, ONE)
    pieces = list(store.read(ONE, 1, 10 * MIB - 1))
    assert max(map(len, pieces)) <= MIB
    assert b"".join(pieces) == CONTENT[1 : 10 * MIB - 1]
    assert b"".join(store.read(ONE, 5, 6)) == CONTENT[5:6]
    with pytest.raises(StoreError, match="has not the"):
        next(store.read(ONE, 0, 10 * MIB + 1))
    abandoned = store.read(ONE, 0, 10 * MIB)
    next(abandoned)
    abandoned.close()  # type: ignore[attr-defined]
    store.discard(ONE, published=True)
    with pytest.raises(StoreError, match="is missing"):
        next(store.read(ONE, 0, 1))


def test_discarding_leaves_nothing(place: Place) -> None:
    """Tails, multipart upload and an object that was made without being recorded are freed; twice is fine, and the
    second time nobody is asked."""
    store = place.store()
    place.create(ONE, length=len(CONTENT))
    writer = opened(place, store, ONE)
    write(writer, CONTENT[: 19 * MIB])
    checkpoint(place, writer, ONE)
    writer.close()
    place.create(OTHER, length=10)
    small = opened(place, store, OTHER)
    write(small, CONTENT[:10])
    small.complete()  # never recorded
    small.close()
    assert len(place.keys()) == 2
    for upload_id in (ONE, OTHER):
        entry = place.shelf.entries[upload_id]
        place.shelf.entries[upload_id] = replace(entry, upload=replace(entry.upload, phase=Phase.TERMINATED))
        for _ in range(2):
            store.discard(upload_id, published=True)
    assert place.keys() == []
    assert nothing_open(place, store)


def test_a_finished_object_is_kept_until_it_is_named(place: Place) -> None:
    """Freeing unpublished data leaves a complete upload's object alone."""
    store = place.store()
    place.create(ONE, length=10)
    finished(place, store, _written(place, store, CONTENT[:10]), ONE)
    store.discard(ONE)
    assert place.content(ONE) == CONTENT[:10]
    store.discard(ONE, published=True)
    assert place.keys() == []


def test_tails_without_a_row_are_freed(place: Place) -> None:
    """What a lost database leaves is found by the walk and freed by its id."""
    store = place.store()
    place.create(ONE, length=1000)
    writer = _written(place, store, CONTENT[:10])
    checkpoint(place, writer, ONE)
    writer.close()
    del place.shelf.entries[ONE]
    assert [(stray.upload_id, stray.published, stray.size) for stray in store.strays()] == [(ONE, False, 10)]
    store.discard(ONE)
    assert list(store.strays()) == []


def test_an_older_lease_writes_nothing(place: Place) -> None:
    """Of two processes that hold one upload's row, the older one's parts cannot be noted and do no harm."""
    place.create(ONE, length=len(CONTENT))
    older, newer = place.store(), place.store()
    stale = opened(place, older, ONE, fence=1)
    write(stale, bytes(1000))
    place.shelf.fences[ONE] = 2
    with pytest.raises(StoreError, match="passed on"):  # by the write or by the sync, whichever comes first
        _write_and_sync(stale, bytes(15 * MIB))
    stale.close()
    writer = opened(place, newer, ONE, fence=2)
    write(writer, CONTENT)
    finished(place, newer, writer, ONE)
    assert place.content(ONE) == CONTENT


def test_partial_uploads_are_no_library_items(place: Place) -> None:
    """Material for a concatenation lies among our own objects."""
    store = place.store()
    place.create(ONE, length=10, concat=Concat.PARTIAL, filename="film.mp4")
    finished(place, store, _written(place, store, CONTENT[:10]), ONE)
    assert place.keys() == [f"library/.ferryman/partials/{ONE}"]


def test_bytes_may_be_put_into_the_memory_of_a_part(place: Place) -> None:
    """What a body that flows is read into needs no copy, and is the same object in the end."""
    place.create(ONE, length=len(CONTENT))
    store = place.store()
    writer, at = opened(place, store, ONE), 0
    while at < len(CONTENT):
        space = writer.space()
        count = min(len(space), len(CONTENT) - at, 300_000)
        space[:count] = CONTENT[at : at + count]
        writer.filled(count)
        at += count
    finished(place, store, writer, ONE)
    assert place.content(ONE) == CONTENT


def test_a_flow_that_runs_dry_at_the_edge_of_a_part_holds_no_memory(place: Place) -> None:
    """A part that nothing was put into cannot be spilt, so it must not take anything while its client is silent."""
    place.create(ONE)
    store = place.store()
    writer = opened(place, store, ONE)
    assert len(writer.space()) == SLICE
    writer.filled(0)
    memory = store._yard.memory
    assert memory.free == memory.total
    writer.close()


def test_the_id_stays_with_the_bucket(place: Place) -> None:
    """Every process finds the same id below the prefix."""
    assert place.store().store_id == place.store().store_id


def test_the_store_is_what_it_says(place: Place) -> None:
    """It is one that keeps no books, and refuses what is no id."""
    store = place.store()
    assert isinstance(store, KeepsNoBooks)
    for upload_id in BAD_IDS:
        with pytest.raises(ValueError, match="not an upload id"):
            store.tail(upload_id, 0)
    store.close()
    store.close()


def _written(place: Place, store: S3Store, content: bytes) -> S3Writer:
    writer = opened(place, store, ONE)
    write(writer, content)
    return writer


def _write_and_sync(writer: Writer, content: bytes) -> None:
    write(writer, content)
    writer.sync()
