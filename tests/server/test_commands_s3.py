"""`gc`, `ls` and `status` where bytes live in a bucket of a real MinIO."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ferryman_cli import main
from ferryman_protocol.model import Concat, Phase
from ferryman_server.backends import open_backends, opened
from ferryman_server.state.base import Record
from ferryman_server.storage.base import read_all
from ferryman_server.storage.identity import DataLock, identity_text
from tests.s3.faults import Answer
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.server.bucket_folder import Bucket, BucketFolder
from tests.server.data_folder import id_of, record_of

DATA = b"some bytes"
AGES_AGO = 1000.0  # seconds since the epoch


def inside(place: Bucket, work: Callable[[BucketFolder], Awaitable[None]]) -> None:
    """Do something with the open folder."""

    async def run() -> None:
        async with place.folder() as folder:
            await work(folder)

    asyncio.run(run())


def fill(place: Bucket, *uploads: tuple[Record, bytes | None]) -> None:
    """Make a folder with these uploads."""

    async def work(folder: BucketFolder) -> None:
        for record, content in uploads:
            await folder.add(record, content)

    inside(place, work)


def forget(place: Bucket) -> None:
    """Lose the database."""
    for file in place.data.glob("state.db*"):
        file.unlink()
    fill(place)


def rows(place: Bucket) -> dict[str, Record]:
    """Every row."""
    found = {}

    async def work(folder: BucketFolder) -> None:
        page = await folder.state.page(limit=100)
        found.update({record.upload.id: record for record in page.records})

    inside(place, work)
    return found


def put(place: Bucket, key: str, content: bytes = DATA, *, says: str | None = None) -> None:
    """Somebody else stores an object; it may say which upload it is."""
    metadata = {} if says is None else {"x-amz-meta-ferryman-upload": says}
    place.minio.client().put_object(place.name, key, io.BytesIO(content), len(content), metadata={**metadata})


def test_gc_frees_what_expired(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """What it had in the bucket is gone, and a finished upload is as it was."""
    fill(
        place,
        (record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=AGES_AGO), DATA),
        (record_of(2, Phase.COMPLETE, DATA), DATA),
    )
    assert main(["gc"]) == 0
    assert capsys.readouterr().out.endswith("Freed 10 B: 1 expired, 0 without a row, 0 old rows removed.\n")
    assert place.objects() == [f"library/1970-01-01/{id_of(2)}/upload"]
    assert {upload_id: record.upload.phase for upload_id, record in rows(place).items()} == {
        id_of(1): Phase.EXPIRED,
        id_of(2): Phase.COMPLETE,
    }
    assert main(["gc"]) == 0
    assert capsys.readouterr().out == "There is nothing to clear away.\n"


def test_gc_beside_a_server_may_only_look(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder is locked and the database open: a dry run tells the same, and changes nothing."""
    fill(place, (record_of(1, Phase.RECEIVING, DATA, length=20, expires_at=AGES_AGO), DATA))
    before = place.objects()

    async def beside(folder: BucketFolder) -> None:
        assert await asyncio.to_thread(main, ["gc"]) == 2
        assert await asyncio.to_thread(main, ["gc", "--dry-run"]) == 0
        assert await folder.phase(id_of(1)) is Phase.RECEIVING

    with DataLock(place.data):
        inside(place, beside)
    said = capsys.readouterr()
    assert "clears it by itself" in said.err
    assert f"{id_of(1)}: 10 B would be freed\nWould free 10 B: 1 expired" in said.out
    assert place.objects() == before


def test_gc_leaves_objects_without_a_row_to_a_person(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """The key is told, since people know objects by it; other people's objects are not spoken of."""
    fill(place, (record_of(1, Phase.COMPLETE, DATA, filename="a.zip"), DATA))
    forget(place)
    put(place, "library/notes.txt")
    put(place, f"elsewhere/{id_of(3)}/film.zip")
    assert main(["gc", "--dry-run"]) == 1
    assert main(["gc"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[2]
    assert lines[0] == (
        f"{id_of(1)} (library/1970-01-01/{id_of(1)}/a.zip): a published file of 10 B without a row, "
        "left alone (--adopt takes it in, --delete-published deletes it)"
    )


def test_gc_adopts_with_what_the_object_says_about_itself(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, type and coding are the object's own, and its checksum need not be computed: the row is as it was."""
    complete = record_of(1, Phase.COMPLETE, DATA, at=1.0, filename="Über.zip")
    upload = replace(complete.upload, content_type="video/mp4", content_encoding="zstd", dialect="rufh")
    fill(place, (replace(complete, upload=upload), DATA))
    (before,) = rows(place).values()
    forget(place)
    assert main(["gc", "--adopt", "--dry-run"]) == 0
    assert rows(place) == {}
    assert main(["gc", "--adopt"]) == 0
    assert capsys.readouterr().out.count("taken in as a complete upload") == 2
    (row,) = rows(place).values()
    assert (row.upload, row.crc64, row.target) == (before.upload, before.crc64, before.target)
    assert row.completed_at == row.created_at != 1.0

    async def read(folder: BucketFolder) -> None:
        assert await asyncio.to_thread(read_all, folder.store, id_of(1), len(DATA)) == DATA
        await asyncio.to_thread(folder.store.discard, id_of(1), published=True)

    inside(place, read)
    assert place.objects() == []


def test_gc_adopts_what_lost_everything_but_its_key(place: Bucket) -> None:
    """A copy that came back from a disk has no metadata and no checksum: it is read for that, and named by its key."""
    fill(place)
    put(place, f"library/2026-11-22/{id_of(1)}/a film.mp4")
    put(place, f"library/2026-11-22/{id_of(2)}/upload", b"")
    assert main(["gc", "--adopt"]) == 0
    found = rows(place)
    assert found[id_of(1)].upload.filename == "a film.mp4"
    assert found[id_of(1)].crc64 == record_of(1, Phase.COMPLETE, DATA).crc64
    assert (found[id_of(2)].upload.length, found[id_of(2)].upload.filename) == (0, None)


def test_an_adopted_partial_upload_expires_as_it_would_have(place: Bucket) -> None:
    """It is material for a concatenation, and nobody would ever clear it away otherwise."""
    fill(place, (record_of(1, Phase.COMPLETE, DATA, concat=Concat.PARTIAL), DATA))
    forget(place)
    assert main(["gc", "--adopt"]) == 0
    (row,) = rows(place).values()
    assert (row.upload.concat, row.target) == (Concat.PARTIAL, f"library/.ferryman/partials/{id_of(1)}")
    assert row.upload.expires_at == row.updated_at + place.settings.upload_ttl


def test_gc_deletes_objects_without_a_row_when_told_so(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """Those with a row stay, and a dry run deletes none."""
    fill(place, (record_of(1, Phase.COMPLETE, DATA), DATA))
    forget(place)
    fill(place, (record_of(2, Phase.COMPLETE, DATA), DATA))
    assert main(["gc", "--delete-published", "--dry-run"]) == 0
    assert len(place.objects()) == 2
    assert main(["gc", "--delete-published"]) == 0
    assert capsys.readouterr().out.endswith("Freed 10 B: 0 expired, 0 without a row, 0 old rows removed.\n")
    assert place.objects() == [f"library/1970-01-01/{id_of(2)}/upload"]


def test_what_does_not_say_that_it_is_ours_is_never_deleted(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """A name may look like an id; only an object that says whose it is goes for good."""
    fill(place)
    put(place, f"library/{'a' * 26}/holiday.jpg")
    put(place, f"library/2026-11-22/{id_of(1)}/a.zip", says=id_of(2))
    for argv in (["--delete-published", "--dry-run"], ["--delete-published"]):
        assert main(["gc", *argv]) == 1
        out = capsys.readouterr().out
        assert "left alone: it does not say that it is ours" in out
        assert f"left alone: it says that it is upload {id_of(2)}" in out
    assert len(place.objects()) == 2


def test_of_two_objects_of_one_upload_one_is_adopted(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody has copied it; which one is the upload's is decided once."""
    fill(place)
    for folder in ("2026-11-21", "2026-11-22"):
        put(place, f"library/{folder}/{id_of(1)}/a.zip")
    assert main(["gc", "--adopt"]) == 1
    assert "left alone: another one of this upload was taken in" in capsys.readouterr().out
    assert rows(place)[id_of(1)].target == f"library/2026-11-21/{id_of(1)}/a.zip"


def test_another_store_below_ours_is_left_alone(place: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers share a bucket, one prefix lies below the other: what the inner one has is no business of gc's, its
    tails neither."""
    fill(place, (record_of(1, Phase.COMPLETE, DATA), DATA), (record_of(2, Phase.RECEIVING, DATA, length=20), DATA))
    before = place.objects()
    outer = replace(place, data=place.data.parent / "outer")
    monkeypatch.setenv("FERRYMAN_STORE", f"s3://{place.name}")
    monkeypatch.setenv("FERRYMAN_DATA", str(outer.data))

    async def serve() -> None:
        settings = replace(place.settings, store=f"s3://{place.name}", data=outer.data)
        async with opened(await asyncio.to_thread(open_backends, settings)):
            pass

    asyncio.run(serve())
    assert main(["gc", "--delete-published"]) == 0
    assert place.objects() == before


def test_gc_makes_no_store_where_none_was(
    place: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong prefix is said in words, whether anything is to be changed or not."""
    fill(place)
    before = place.objects()
    monkeypatch.setenv("FERRYMAN_STORE", f"s3://{place.name}/librari")
    for argv in (["gc"], ["gc", "--dry-run"]):
        assert main(argv) == 2
        said = capsys.readouterr().err
        assert f"no server has kept uploads there, {place.name}/librari/.ferryman/store.toml is missing" in said
    assert place.objects() == before


def test_gc_with_the_setting_forgotten_leaves_the_folder_alone(
    place: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serve` was given --store, gc was not: it does not take the folder for a local store's."""
    fill(place)
    before = sorted(path.name for path in place.data.iterdir())
    monkeypatch.delenv("FERRYMAN_STORE")
    assert main(["gc"]) == 2
    assert "name it (--store s3://BUCKET/PREFIX)" in capsys.readouterr().err
    assert sorted({path.name for path in place.data.iterdir()} - {"lock"}) == before
    assert main(["gc", "--store", place.settings.store]) == 0


def test_another_buckets_database_stops_gc(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """Every object would be one without a row."""
    fill(place, (record_of(1, Phase.COMPLETE, DATA), DATA))
    put(place, "library/.ferryman/store.toml", identity_text("a" * 26))
    for argv in (["gc", "--delete-published"], ["gc", "--dry-run"]):
        assert main(argv) == 2
        assert "belongs to the store" in capsys.readouterr().err
    assert len(place.objects()) == 1


def test_gc_says_what_is_wrong_with_the_bucket(
    place: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing keys, wrong keys, a server that is away: each names what to look at, and none tells a key."""
    fill(place)
    monkeypatch.setenv("FERRYMAN_S3_PATIENCE", "100ms")
    for name, value, told in (
        ("AWS_ACCESS_KEY_ID", "", "needs the variables AWS_ACCESS_KEY_ID"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "the keys are refused"),
        ("FERRYMAN_S3_ENDPOINT", "http://127.0.0.1:1", "http://127.0.0.1:1 does not answer as it should"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert main(["gc", "--dry-run"]) == 2
            said = capsys.readouterr().err
            assert told in said
            assert place.minio.secret_key not in said


def test_a_store_that_fails_in_the_middle_is_told_and_the_rest_goes_on(
    place: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One object cannot be deleted: the others are, and the exit code says that something is left."""
    fill(place, *((record_of(number, Phase.COMPLETE, DATA), DATA) for number in (1, 2)))
    forget(place)
    with FaultProxy(place.minio.endpoint) as proxy:
        monkeypatch.setenv("FERRYMAN_S3_ENDPOINT", proxy.endpoint)
        proxy.on(Operation.DELETE, key=id_of(1), do=Answer(403, "AccessDenied"))
        assert main(["gc", "--delete-published"]) == 1
    out = capsys.readouterr().out
    assert "left alone, since the store failed: DELETE" in out
    assert "1 failed" in out
    assert [key.split("/")[2] for key in place.objects()] == [id_of(1)]


def test_ls_asks_nobody_but_the_database(
    place: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs neither keys nor the bucket."""
    fill(place, (record_of(1, Phase.COMPLETE, DATA), DATA))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("FERRYMAN_S3_ENDPOINT", "http://127.0.0.1:1")
    assert main(["ls"]) == 0
    assert id_of(1) in capsys.readouterr().out


def test_status_tells_whether_the_bucket_answers(
    place: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside what the database says is stored: nobody walks through the bucket for that."""
    fill(
        place,
        (record_of(1, Phase.COMPLETE, DATA), DATA),
        (record_of(2, Phase.RECEIVING, DATA[:4], length=20), DATA[:4]),
        (record_of(3, Phase.EXPIRED, DATA), None),
    )
    with FaultProxy(place.minio.endpoint) as proxy:
        monkeypatch.setenv("FERRYMAN_S3_ENDPOINT", proxy.endpoint)
        assert main(["status"]) == 0
        assert Operation.LIST not in proxy.log.counts()
        lines = capsys.readouterr().out.splitlines()
        assert lines[1] == f"bucket       {place.settings.store} at {proxy.endpoint}: answers"
        assert lines[-1] == "stored       10 B complete, 4 B unfinished, by the database"
        proxy.refuse()
        assert main(["status"]) == 1
    assert "does not answer as it should: HEAD" in capsys.readouterr().out.splitlines()[1]


def test_status_without_keys_asks_nobody(
    place: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are in the server's environment, not in that of whoever looks."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith(": not asked, for want of AWS_ACCESS_KEY_ID here")


def test_status_before_the_first_start(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """The bucket is there, and nothing in it."""
    assert main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("answers, and no server has kept uploads there yet")
    assert place.objects() == []
