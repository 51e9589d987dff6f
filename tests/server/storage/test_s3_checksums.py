"""Checksums on a real MinIO: it is told the one that is set, and an object is known by whichever it has."""

import random

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.digests import crc64
from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3 import S3Store
from ferryman_server.storage.s3_sums import CRC32C, CRC64NVME, Algorithm, Sums, summed
from ferryman_server.storage.testing_rig import ONE, OTHER
from tests.server.storage.s3_rig import MIB, Place, checkpoint, committed, finished, opened, write

CONTENT = random.Random(5).randbytes(40 * MIB)
BOTH = [CRC32C, CRC64NVME]


def checksums(place: Place, store: S3Store, upload_id: str) -> list[tuple[str, str]]:
    """What the server tells of the checksums of a finished object."""
    head = s3_calls.head(store._client, place.shelf.entries[upload_id].target or "")
    assert head is not None
    fields = {name: value for name, value in head.fields.items() if name.startswith("x-amz-checksum-")}
    assert fields.pop("x-amz-checksum-type") == "FULL_OBJECT"
    return list(fields.items())


@pytest.mark.parametrize("algorithm", BOTH)
def test_the_server_is_told_the_checksum_that_is_set(place: Place, algorithm: Algorithm) -> None:
    """Of one PUT, and of the whole object that is made of parts and a tail; no other one is asked of it."""
    store = place.store(algorithm)
    for upload_id, size in ((ONE, 1000), (OTHER, 17 * MIB)):
        place.create(upload_id, length=size)
        writer = opened(place, store, upload_id)
        write(writer, CONTENT[:size])
        finished(place, store, writer, upload_id)
        (fields,) = checksums(place, store, upload_id)
        sums = summed([CONTENT[:size]])
        assert fields == (algorithm.field, algorithm.text(sums))
        assert place.shelf.entries[upload_id].crc64 == sums.crc64


@pytest.mark.parametrize(("first", "then"), [BOTH, BOTH[::-1]])
def test_the_setting_may_change_while_an_upload_is_under_way(place: Place, first: Algorithm, then: Algorithm) -> None:
    """A multipart upload goes on as it was begun, tails of another kind behind it; a new one is of the new kind."""
    for upload_id, begun in ((ONE, 10 * MIB), (OTHER, 3 * MIB)):
        place.create(upload_id, length=len(CONTENT))
        writer = opened(place, place.store(first), upload_id)
        write(writer, CONTENT[:begun])
        checkpoint(place, writer, upload_id)
        writer.close()
        store = place.store(then)
        writer = opened(place, store, upload_id)
        write(writer, CONTENT[begun:])
        finished(place, store, writer, upload_id)
        assert place.content(upload_id) == CONTENT
    assert [checksums(place, store, upload_id)[0][0] for upload_id in (ONE, OTHER)] == [first.field, then.field]


@pytest.mark.parametrize("whole", [9 * MIB, 1000])
def test_an_object_is_recognised_whatever_the_setting_was(place: Place, whole: int) -> None:
    """It was made and not recorded; the next process has another setting, and knows it by the checksum that it has."""
    place.create(ONE, length=whole)
    first = place.store(CRC64NVME)
    writer = opened(place, first, ONE)
    write(writer, CONTENT[:whole])
    published = writer.complete()
    noted = committed(place, writer, ONE, Phase.FINISHING)
    writer.close()
    if not published:
        first.publish(ONE, whole)
    made = place.minio.client().stat_object(place.bucket, place.keys()[0]).last_modified
    second = place.store(CRC32C)
    second.publish(ONE, whole)
    assert checksums(place, second, ONE)[0][0] == CRC64NVME.field
    assert place.minio.client().stat_object(place.bucket, place.keys()[0]).last_modified == made
    assert noted.mark.crc64 == crc64([CONTENT[:whole]])


def test_an_object_with_other_bytes_is_not_taken_for_the_whole(place: Place) -> None:
    """What was published by one PUT is known by the checksums in its books; another object of its size is not it."""
    store = place.store()
    place.create(ONE, length=1000)
    writer = opened(place, store, ONE)
    write(writer, CONTENT[:1000])
    assert writer.complete() is True
    committed(place, writer, ONE, Phase.FINISHING)  # its digest is compared before it is complete
    writer.close()
    store.publish(ONE, 1000)
    key, other = place.keys()[0], CONTENT[1000:2000]
    s3_calls.delete(store._client, key)
    s3_calls.put(store._client, key, other, 1000, summed([other]), {})
    with pytest.raises(StoreError, match="some are missing"):
        store.publish(ONE, 1000)


@pytest.mark.parametrize("algorithm", BOTH)
def test_bytes_with_another_checksum_are_refused(place: Place, algorithm: Algorithm) -> None:
    """The server compares what arrives, so nothing that was damaged on the way is ever told to be there."""
    client = place.store(algorithm)._client
    with pytest.raises(StoreError):
        s3_calls.put(client, "library/damaged", b"bytes", 5, Sums(1, 1), {})
    upload = s3_calls.begin(client, "library/damaged", {})
    with pytest.raises(StoreError):
        s3_calls.send_part(client, "library/damaged", upload, 1, b"bytes", 5, Sums(1, 1))
    s3_calls.abort(client, "library/damaged", upload.id)
    assert place.keys() == []
