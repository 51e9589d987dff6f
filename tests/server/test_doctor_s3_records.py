"""The doctor holds the database against the bucket, and reads every upload back from it."""

import asyncio
import io
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ferryman_protocol.model import Phase
from ferryman_server.checkup import reading_back
from ferryman_server.checkup.bucket import check_bucket
from ferryman_server.checkup.findings import Finding, Level
from ferryman_server.checkup.reading_back import verified
from ferryman_server.checkup.records import check_records
from ferryman_server.storage.identity import identity_text
from ferryman_server.storage.s3 import S3Store
from tests.s3.faults import Answer
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.server.bucket_folder import PREFIX, Bucket
from tests.server.data_folder import id_of, record_of
from tests.server.doctor_s3_rig import DATA, bad, fill

NOW = 2_000_000_000.0


def findings_of(place: Bucket, *, verify: bool = False) -> list[Finding]:
    """What is said of the database."""
    seen = check_bucket(place.settings, place.environment)
    return asyncio.run(check_records(place.settings, NOW, verify=verify, bucket=seen))


def test_a_folder_nobody_has_served_is_fine(place: Bucket) -> None:
    """Neither the bucket nor the folder knows of the other."""
    assert findings_of(place) == [Finding(Level.OK, "no server has run on this folder yet")]


def test_a_whole_place_is_fine(place: Bucket) -> None:
    """Database and bucket belong together, and every upload can be read back."""
    asyncio.run(fill(place, 6))
    own, read = findings_of(place, verify=True)
    assert own.text == "the database can be read and belongs to this bucket: 6 uploads"
    assert read.text == "read back 6 complete uploads, 60 B: every length and CRC64/NVME is right"


def test_a_database_of_another_bucket_is_wrong(place: Bucket) -> None:
    """The ids differ: nothing may run on the two together."""
    asyncio.run(fill(place, 1))
    text = identity_text("a" * 26)
    place.minio.client().put_object(place.name, f"{PREFIX}/.ferryman/store.toml", io.BytesIO(text), len(text))
    (finding,) = findings_of(place, verify=True)
    assert (finding.level, "belongs to the store" in finding.text) == (Level.WRONG, True)


def test_missing_halves_are_found(place: Bucket) -> None:
    """Objects without a database are a note, a database without the bucket's id is wrong; a damaged id is told."""
    asyncio.run(fill(place, 1))
    (place.data / "state.db").rename(place.data / "away.db")
    (finding,) = findings_of(place)
    assert (finding.level, "the objects have no rows" in finding.text) == (Level.NOTE, True)
    (place.data / "away.db").rename(place.data / "state.db")
    client, key = place.minio.client(), f"{PREFIX}/.ferryman/store.toml"
    client.remove_object(place.name, key)
    (finding,) = findings_of(place)
    assert finding.text == f"s3://{place.name}/{key} is missing"
    client.put_object(place.name, key, io.BytesIO(b"rubbish"), 7)
    seen = check_bucket(place.settings, place.environment)
    assert "is damaged" in bad(seen).text
    assert not seen.usable


def test_where_the_bucket_is_away_the_rows_are_looked_at_all_the_same(place: Bucket) -> None:
    """And nothing is said to have been read back."""
    asyncio.run(fill(place, 1))
    rows, bytes_ = asyncio.run(check_records(place.settings, NOW, verify=True, bucket=None))
    assert rows.text == "the database can be read: 1 uploads"
    assert (bytes_.level, "no upload can be read back" in bytes_.text) == (Level.WRONG, True)


def test_every_kind_of_damage_is_found(place: Bucket) -> None:
    """Other bytes, too few, too many, a missing object, a missing empty one: each told with its upload."""
    client = place.minio.client()

    async def work() -> list[Finding]:
        async with place.folder() as folder:
            keys = {}
            for number in range(1, 7):
                content = b"" if number == 5 else DATA
                record = record_of(number, Phase.COMPLETE, content, filename=f"{number}.bin")
                keys[number] = folder.store.target(record.upload, 0.0)
                await folder.add(record, content)
            for number, other in ((1, b"some bytEs"), (2, DATA[:-1]), (3, DATA + b"!")):
                client.put_object(place.name, keys[number], io.BytesIO(other), len(other))
            for number in (4, 5):
                client.remove_object(place.name, keys[number])
            return await verified(folder.state, folder.store)

    findings = asyncio.run(work())
    assert [finding.level for finding in findings] == [Level.WRONG] * 5
    texts = {finding.text.split(":")[0]: finding.text for finding in findings}
    for number, said in (
        (1, "bytes have changed"),
        (2, "its file has 9 bytes, its row says 10"),
        (3, "its file has 11 bytes, its row says 10"),
        (4, "is missing"),
        (5, "is missing"),
    ):
        assert said in texts[f"upload {id_of(number)} ({number}.bin)"]


def test_what_cannot_be_read_is_not_called_damaged(place: Bucket, proxy: FaultProxy) -> None:
    """A server that stumbles once is asked again; one that does not answer is no reason to restore a backup."""
    asyncio.run(fill(place, 2))
    behind = replace(place, endpoint=proxy.endpoint)
    proxy.on(Operation.GET, key=id_of(1), do=Answer(503, "SlowDown"))
    assert findings_of(behind, verify=True)[-1].level is Level.OK
    proxy.on(Operation.GET, key=id_of(2), do=Answer(503, "SlowDown"), times=None)
    finding = findings_of(behind, verify=True)[-1]
    assert finding.text.startswith(f"upload {id_of(2)} (2.bin) could not be read: GET ")
    assert "it may well be whole" in finding.remedy


def test_a_server_that_goes_away_is_not_asked_for_every_upload(
    place: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few that could not be read the others are not tried."""
    monkeypatch.setattr(reading_back, "SHOWN", 3)
    asyncio.run(fill(place, 30))
    proxy.on(Operation.GET, key="1970", do=Answer(503, "SlowDown"), times=None)
    findings = findings_of(replace(place, endpoint=proxy.endpoint), verify=True)
    assert findings[-1].text == "the other uploads were not tried"
    assert len([seen for seen in proxy.log.of(Operation.GET) if "1970" in seen.key]) < 20


def test_a_list_that_fails_is_told(place: Bucket, proxy: FaultProxy) -> None:
    """The walk comes before the reading."""
    asyncio.run(fill(place, 1))
    seen = check_bucket(place.settings, place.environment)
    proxy.on(Operation.LIST, do=Answer(403, "AccessDenied"), times=None)
    behind = replace(place, endpoint=proxy.endpoint)
    findings = asyncio.run(check_records(behind.settings, NOW, verify=True, bucket=seen))
    assert findings[-1].text.startswith("the uploads cannot be read back: GET")


async def test_a_few_are_read_at_once_and_never_more(place: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four: over a network one after the other would take four times as long."""
    most, now, lock, four = 0, 0, threading.Lock(), threading.Barrier(reading_back.AT_ONCE)
    read = S3Store.read

    def counted(
        store: S3Store, upload_id: str, start: int, stop: int, *, published: bool = True
    ) -> Iterator[memoryview]:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        four.wait(10)
        yield from read(store, upload_id, start, stop)
        with lock:
            now -= 1

    monkeypatch.setattr(S3Store, "read", counted)
    await fill(place, 4 * reading_back.AT_ONCE)
    async with place.folder() as folder:
        assert [finding.level for finding in await verified(folder.state, folder.store)] == [Level.OK]
    assert most == reading_back.AT_ONCE
