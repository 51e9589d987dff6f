"""The doctor looks at a bucket of a real MinIO: every thing that can be wrong is named, and nothing is left behind."""

import asyncio
import io
import json
import re
import secrets
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from minio.commonconfig import ENABLED
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin
from minio.versioningconfig import VersioningConfig
from urllib3 import PoolManager

from ferryman_cli import main
from ferryman_protocol.model import Phase
from ferryman_server.checkup import machine, probe, reading_back
from ferryman_server.checkup.bucket import BucketSeen, check_bucket
from ferryman_server.checkup.bucket_access import Server, check_clock, reach
from ferryman_server.checkup.bucket_promises import check_promises
from ferryman_server.checkup.bucket_speed import judge_speed
from ferryman_server.checkup.bucket_sweep import judge_expiry, parse_duration, parse_expiry, read_expiry
from ferryman_server.checkup.findings import Finding, Level, wrong
from ferryman_server.checkup.probe import probing
from ferryman_server.checkup.reading_back import verified
from ferryman_server.checkup.records import check_records
from ferryman_server.storage import s3_calls
from ferryman_server.storage.identity import identity_text
from ferryman_server.storage.s3 import S3Store
from ferryman_server.storage.s3_client import Answer as Answered
from ferryman_server.storage.s3_client import Body, S3Client
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.s3_signing import Keys
from tests.minio import Minio
from tests.s3.faults import Answer
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.server.bucket_folder import PREFIX, Bucket, use
from tests.server.data_folder import id_of, record_of

NOW = 2_000_000_000.0
DAY = 86_400.0
DATA = b"some bytes"
SETTINGS = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


@pytest.fixture
def place(minio: Minio, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket and a folder beside it, which the command finds."""
    monkeypatch.chdir(tmp_path)
    made = Bucket(minio, bucket, tmp_path / "data", minio.endpoint)
    use(monkeypatch, made)
    return made


@pytest.fixture
def proxy(place: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What the doctor asks goes through it."""
    monkeypatch.setattr(probe, "PATIENCE", 0.4)
    with FaultProxy(place.minio.endpoint) as made:
        monkeypatch.setenv("FERRYMAN_S3_ENDPOINT", made.endpoint)
        yield made


def look(place: Bucket, **environment: str) -> BucketSeen:
    """The findings about the bucket, with some variables changed; nothing is left there."""
    before = place.objects()
    endpoint = environment.pop("endpoint", place.endpoint)
    settings = replace(place.settings, s3_endpoint=endpoint, store=environment.pop("store", place.settings.store))
    seen = check_bucket(settings, {**place.environment, **environment})
    assert place.objects() == before
    return seen


def bad(seen: BucketSeen) -> Finding:
    """The only finding that is wrong."""
    (finding,) = [finding for finding in seen.findings if finding.level is Level.WRONG]
    return finding


def told(findings: Sequence[Finding]) -> str:
    """All texts."""
    return "\n".join(map(str, findings))


@contextmanager
def admin(minio: Minio) -> Iterator[MinioAdmin]:
    """MinIO's administration, as root."""
    with PoolManager() as pool:
        keys = StaticProvider(minio.access_key, minio.secret_key)
        address = minio.endpoint.removeprefix("http://")
        yield MinioAdmin(endpoint=address, credentials=keys, secure=False, http_client=pool)


def documented(place: Bucket, *, without: str = "") -> list[dict[str, object]]:
    """The rights that the documentation says suffice, for this bucket; but for one."""
    (text,) = re.findall(r"```json\n(.*?)```", SETTINGS.read_text(encoding="utf-8"), re.DOTALL)
    policy = json.loads(text.replace("BUCKET", place.name).replace("PREFIX", PREFIX))
    for statement in policy["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action != without]
    found: list[dict[str, object]] = policy["Statement"]
    return found


def user(place: Bucket, statements: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """The keys of a new user with these rights, as variables."""
    name, secret = f"user-{secrets.token_hex(4)}", secrets.token_hex(16)
    with admin(place.minio) as made:
        made.user_add(name, secret)
        made.policy_add(name, policy={"Version": "2012-10-17", "Statement": list(statements)})
        made.policy_set(name, user=name)
    return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": secret}


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_a_bucket_that_is_as_it_should_be(place: Bucket) -> None:
    """A line for each thing; the only one to think about is how MinIO sweeps, which it does unless it is told."""
    seen = look(place)
    assert [finding.level for finding in seen.findings] == [Level.OK] * 8 + [Level.NOTE]
    assert (seen.usable, seen.store_id) == (True, None)
    lines = told(seen.findings).splitlines()
    assert lines[0] == f"ok     {place.endpoint} answers (MinIO)"
    assert lines[3].startswith(
        f"ok     the keys may write, read, list and delete below {place.name}/library/, and begin"
    )
    assert "MINIO_API_STALE_UPLOADS_EXPIRY=720h" in lines[-1]


@pytest.mark.parametrize("narrow", [False, True])
def test_the_documented_rights_suffice(place: Bucket, monkeypatch: pytest.MonkeyPatch, narrow: bool) -> None:
    """To the doctor, to a server from its first start on, and to gc; also where the list is for the prefix alone."""
    statements = documented(place)
    if narrow:
        statements[1]["Action"] = ["s3:ListBucketMultipartUploads"]  # MinIO takes no condition for it
        condition = {"StringLike": {"s3:prefix": [f"{PREFIX}/*"]}}
        statements.append({**statements[1], "Action": ["s3:ListBucket"], "Condition": condition})
    keys = user(place, statements)
    assert all(finding.level is not Level.WRONG for finding in look(place, **keys).findings)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    asyncio.run(fill(place, 1))
    (place.data / "state.db").unlink()
    asyncio.run(fill(place, 0))
    assert main(["gc", "--delete-published"]) == 0
    assert place.objects() == []


@pytest.mark.parametrize(
    ("right", "what"),
    [
        ("PutObject", "write an object"),
        ("GetObject", "read an object"),
        ("DeleteObject", "delete an object"),
        ("ListBucketMultipartUploads", "list multipart uploads"),
        ("AbortMultipartUpload", "abort a multipart upload"),
    ],
)
def test_a_right_that_is_missing_is_named(place: Bucket, right: str, what: str) -> None:
    """Also when it is the one that the doctor clears up with: then root has to."""
    keys = user(place, documented(place, without=f"s3:{right}"))
    seen = check_bucket(place.settings, {**place.environment, **keys})
    (finding,) = [finding for finding in seen.findings if finding.level is Level.WRONG]
    assert finding.text.startswith(f"the keys may not {what}: ")
    assert f"allow s3:{right} below the prefix" in finding.remedy
    left = [finding.text for finding in seen.findings if "doctor's own" in finding.text]
    assert bool(left) == (right in ("DeleteObject", "AbortMultipartUpload", "ListBucketMultipartUploads"))
    assert bool(place.objects()) == (right == "DeleteObject")
    assert keys["AWS_SECRET_ACCESS_KEY"] not in told(seen.findings)


def test_without_the_right_to_list_the_rest_is_not_tried(place: Bucket) -> None:
    """It is the first thing that is asked for."""
    keys = user(place, documented(place, without="s3:ListBucket"))
    seen = look(place, **keys)
    assert bad(seen).text.startswith(f"the keys may not list what is in the bucket {place.name}: GET ")
    assert not seen.usable


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"AWS_ACCESS_KEY_ID": ""}, "needs the variables AWS_ACCESS_KEY_ID: the keys to the bucket"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "does not know the key in AWS_ACCESS_KEY_ID"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID"),
        ({"AWS_SESSION_TOKEN": "wrong"}, "does not take the token in AWS_SESSION_TOKEN"),
        ({"store": "s3://nowhere-at-all/x"}, "there is no bucket nowhere-at-all at http://127.0.0.1:"),
        ({"endpoint": "http://127.0.0.1:1"}, "http://127.0.0.1:1 does not answer: [Errno 111] Connection refused"),
        ({"endpoint": "http://256.256.256.256.:9000"}, "does not answer: "),
    ],
)
def test_what_keeps_everybody_out_is_named(place: Bucket, environment: dict[str, str], text: str) -> None:
    """With what to do, and never with a key."""
    seen = look(place, **environment)
    assert text in bad(seen).text
    assert not seen.usable
    assert place.minio.secret_key not in told(seen.findings)


def test_the_wrong_port_is_noticed(place: Bucket) -> None:
    """https where http is spoken, and MinIO's console in the place of its API."""
    finding, server = reach(place.endpoint.replace("http", "https"))
    assert (server, "write http:// in s3_endpoint" in finding.remedy) == (None, True)
    assert "must be made to API port" in bad(look(place, endpoint=place.minio.console.rstrip("/"))).text


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (503, "SlowDown", "does not do what it is asked: GET"),
        (403, "RequestTimeTooSkewed", "clock and this machine's differ by more than 15 minutes"),
        (400, "AuthorizationHeaderMalformed", "the region us-east-1 is not the bucket's"),
        (400, "ExpiredToken", "does not take the token"),
    ],
)
def test_refusals_are_explained(place: Bucket, proxy: FaultProxy, status: int, code: str, text: str) -> None:
    """What the server says of the very first request with keys."""
    proxy.on(Operation.LIST, do=Answer(status, code), times=None)
    assert text in bad(look(place, endpoint=proxy.endpoint)).text


def test_a_server_that_is_busy_for_a_moment_is_no_finding(place: Bucket, proxy: FaultProxy) -> None:
    """One 503 of each is tried again."""
    for operation in (Operation.LIST, Operation.PUT, Operation.HEAD, Operation.COMPLETE, Operation.DELETE):
        proxy.on(operation, do=Answer(503, "SlowDown"))
    seen = check_bucket(replace(place.settings, s3_endpoint=proxy.endpoint), place.environment)
    assert [finding for finding in seen.findings if finding.level is Level.WRONG] == []


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (Operation.PUT, "to write an object failed: PUT"),
        (Operation.GET, "to read an object failed: GET"),
        (Operation.CREATE_MULTIPART, "to begin a multipart upload failed: POST"),
        (Operation.HEAD, "the id of the store cannot be read: HEAD"),
    ],
)
def test_a_server_that_fails_in_the_middle_is_told(
    place: Bucket, proxy: FaultProxy, operation: Operation, text: str
) -> None:
    """In the words of what was tried."""
    own = "store.toml" if operation is Operation.HEAD else None
    proxy.on(operation, key=own, do=Answer(503, "SlowDown"), times=None)
    seen = check_bucket(replace(place.settings, s3_endpoint=proxy.endpoint), place.environment)
    assert text in told(seen.findings)
    assert place.objects() == []


def test_a_clock_that_is_off_is_noticed_without_keys(place: Bucket, proxy: FaultProxy) -> None:
    """By the Date of whatever the server answers."""
    proxy.on(Operation.OTHER, do=Answer(403, "AccessDenied", headers={"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}))
    seen = look(place, endpoint=proxy.endpoint)
    assert "behind this machine's: it refuses what is signed by a clock so far off" in bad(seen).text


@pytest.mark.parametrize(
    ("ahead", "level"),
    [(0.0, Level.OK), (-59.0, Level.OK), (61.0, Level.NOTE), (-899.0, Level.NOTE), (901.0, Level.WRONG)],
)
def test_clocks_are_judged(ahead: float, level: Level) -> None:
    """A minute is worth a word, from a quarter of an hour on nothing works."""
    assert check_clock(Server(url="http://x", name="", ahead=ahead)).level is level


def test_a_server_that_does_not_tell_the_time_is_noted() -> None:
    """There is nothing to compare."""
    assert check_clock(Server(url="http://x", name="", ahead=None)).level is Level.NOTE


# -- promises ----------------------------------------------------------------------------------------------------------


class Old(S3Client):
    """Talks to a server that does not know of some header fields."""

    unknown: tuple[str, ...] = ()

    def ask(
        self,
        method: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        size: int | None = None,
    ) -> Answered:
        """Leave them out."""
        known = {name: value for name, value in (headers or {}).items() if not name.startswith(self.unknown)}
        answer = super().ask(method, key, query=query, headers=known, body=body, size=size)
        shown = {name: value for name, value in answer.headers.items() if not name.startswith(self.unknown)}
        return replace(answer, headers=shown)


def promises(place: Bucket, *unknown: str) -> list[Finding]:
    """What the doctor says of a server that does not know these fields."""
    client = Old(
        place.endpoint, place.name, Keys(access=place.minio.access_key, secret=place.minio.secret_key), "us-east-1"
    )
    client.unknown = unknown
    try:
        with probing(client, Names(PREFIX)) as tried:
            findings = check_promises(tried)
        assert tried.left == []
    finally:
        client.close()
    assert place.objects() == []
    return findings


def test_a_new_server_keeps_its_promises(place: Bucket) -> None:
    """Checksums and conditions."""
    assert [finding.level for finding in promises(place, "x-nothing")] == [Level.OK, Level.OK]


@pytest.mark.parametrize(
    ("field", "level", "lost"),
    [
        ("if-none-match", Level.WRONG, "would take the place of a finished upload's object, unseen"),
        ("if-match", Level.NOTE, "what another process made in the same moment would be, too"),
    ],
)
def test_a_server_that_ignores_conditions(place: Bucket, field: str, level: Level, lost: str) -> None:
    """What is lost is named, and so are the ways of making an object."""
    _, finding = promises(place, field)
    assert (finding.level, lost in finding.text) == (level, True)
    assert "made by PUT and by CompleteMultipartUpload" in finding.text


def test_a_server_that_knows_no_checksums(place: Bucket) -> None:
    """It neither keeps nor compares them."""
    kept, compared, conditions = promises(place, "x-amz-checksum", "x-amz-sdk-checksum")
    assert (kept.level, compared.level, conditions.level) == (Level.WRONG, Level.WRONG, Level.OK)
    assert "is never finished" in kept.text
    assert "damaged on the way" in compared.text


def test_a_server_that_refuses_checksums(place: Bucket, proxy: FaultProxy) -> None:
    """An older MinIO does not know the algorithm."""
    proxy.on(
        Operation.PUT,
        do=Answer(400, "InvalidArgument"),
        where=lambda seen: s3_calls.CRC in seen.headers,
        times=None,
    )
    findings = promises(replace(place, endpoint=proxy.endpoint))
    assert "does not take CRC64/NVME checksums, and uploads fail: PUT" in findings[0].text


def test_slow_buckets_are_noted() -> None:
    """Neither keeps the server from working."""
    assert judge_speed(0.00231).text == "the bucket takes 2.31 ms to store 1 KiB (the median of 5)"
    assert judge_speed(0.3).level is Level.NOTE


# -- what is left behind -----------------------------------------------------------------------------------------------


def test_a_versioned_bucket_is_noted_and_nothing_is_left_in_it(place: Bucket) -> None:
    """Neither versions nor marks of deletions."""
    client = place.minio.client()
    client.set_bucket_versioning(place.name, VersioningConfig(ENABLED))
    seen = look(place)
    assert f"the bucket {place.name} is versioned" in told(seen.findings)
    assert list(client.list_objects(place.name, recursive=True, include_version=True)) == []


def test_what_a_killed_doctor_left_is_removed(place: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is old: another doctor may be at work."""
    key = f"{PREFIX}/.ferryman/probe/0123456789abcdef-object"
    place.minio.client().put_object(place.name, key, io.BytesIO(DATA), len(DATA))
    look(place)
    monkeypatch.setattr(probe, "OLD", -60.0)
    check_bucket(place.settings, place.environment)
    assert place.objects() == []


def test_no_multipart_upload_is_left_open(place: Bucket, proxy: FaultProxy) -> None:
    """Under none of the keys that were tried, also when one could not be completed."""
    proxy.on(Operation.COMPLETE, do=Answer(403, "AccessDenied"), times=None)
    check_bucket(replace(place.settings, s3_endpoint=proxy.endpoint), place.environment)
    keys = {seen.key for seen in proxy.log.of(Operation.CREATE_MULTIPART)}
    assert keys
    with place.client() as client:
        assert [s3_calls.open_uploads(client, key) for key in keys] == [[]] * len(keys)


# -- MinIO's own sweeping ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expiry", "ttl", "level", "text"),
    [
        (DAY - 1, DAY, Level.WRONG, "bytes that clients were told are safe would be lost"),
        (DAY, DAY, Level.NOTE, "any may lose bytes"),
        (1.5 * DAY, DAY, Level.NOTE, "one that was under way for 12 h may lose bytes"),
        (30 * DAY, DAY, Level.OK, "an upload may be under way for 29 d"),
        (30 * DAY, 31 * DAY, Level.WRONG, "31 d after their last byte"),
    ],
)
def test_how_soon_the_server_sweeps_is_judged(expiry: float, ttl: float, level: Level, text: str) -> None:
    """An upload may rest for its ttl, and has been busy before that."""
    finding = judge_expiry(expiry, ttl)
    assert (finding.level, text in finding.text) == (level, True)
    assert ("MINIO_API_STALE_UPLOADS_EXPIRY=" in finding.remedy) == (level is not Level.OK)


def test_the_recommended_value_is_twice_the_ttl_at_least() -> None:
    """720 hours are enough for everybody else."""
    assert "EXPIRY=720h" in judge_expiry(DAY, DAY).remedy
    assert "EXPIRY=1488h" in judge_expiry(DAY, 31 * DAY).remedy


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24h", DAY),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("168h0m0s", 7 * DAY),
        ("500ms", 0.5),
        ("0", DAY),
        ("0s", DAY),
        ("", None),
        ("7d", None),
        ("h", None),
        ("-1h", None),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str, seconds: float | None) -> None:
    """MinIO takes 0 for its default."""
    assert parse_duration(text) == seconds


def test_the_environment_counts_more_than_the_configuration() -> None:
    """MinIO tells of it in a comment before the line."""
    line = "api requests_max=0 stale_uploads_cleanup_interval=6h stale_uploads_expiry=24h odirect=on"
    assert parse_expiry(line) == DAY
    assert parse_expiry(f"# MINIO_API_STALE_UPLOADS_EXPIRY=168h\n{line}\n") == 7 * DAY
    assert parse_expiry("something else") is None


def test_it_is_read_with_the_keys_of_root(place: Bucket) -> None:
    """From the default, from the configuration, and from the environment of a real MinIO."""
    assert read_expiry(place.endpoint, place.environment) == DAY
    with tempfile.TemporaryDirectory(prefix="minio-") as folder:
        server = Minio(Path(folder), environment={"MINIO_API_STALE_UPLOADS_EXPIRY": "168h"})
        keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        with server, admin(server) as made:
            assert read_expiry(server.endpoint, keys) == 7 * DAY
            made.config_set("api", {"stale_uploads_expiry": "100h"})
            assert read_expiry(server.endpoint, keys) == 7 * DAY


def test_keys_of_others_may_not_read_it(place: Bucket) -> None:
    """Which is as it should be: the doctor says what to see to. One right more, and they may."""
    keys = user(place, documented(place))
    assert read_expiry(place.endpoint, {**place.environment, **keys}) is None
    finding = look(place, **keys).findings[-1]
    assert finding.level is Level.NOTE
    assert finding.text.startswith("after what time the S3 server throws multipart uploads away cannot be read")
    more = user(place, [*documented(place), {"Effect": "Allow", "Action": ["admin:ConfigUpdate"]}])
    assert read_expiry(place.endpoint, {**place.environment, **more}) == DAY


@pytest.mark.parametrize("status", [404, 503])
def test_other_servers_have_no_such_thing(place: Bucket, proxy: FaultProxy, status: int) -> None:
    """Whatever they answer is no reason to fail."""
    proxy.on(do=Answer(status, "NoSuchKey"), where=lambda seen: seen.bucket == "minio", times=None)
    assert read_expiry(proxy.endpoint, place.environment) is None


# -- the database, and the bytes ---------------------------------------------------------------------------------------


def findings_of(place: Bucket, *, verify: bool = False) -> list[Finding]:
    """What is said of the database."""
    seen = check_bucket(place.settings, place.environment)
    return asyncio.run(check_records(place.settings, NOW, verify=verify, bucket=seen))


async def fill(place: Bucket, count: int) -> None:
    """So many complete uploads."""
    async with place.folder() as folder:
        for number in range(1, count + 1):
            await folder.add(record_of(number, Phase.COMPLETE, DATA, filename=f"{number}.bin"), DATA)


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


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_looks_at_the_bucket_too(place: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside everything else, in the order in which a person would mend it; no key is printed."""
    asyncio.run(fill(place, 1))
    before = place.objects()
    main(["doctor", "--port", "0", "--verify"])
    out = capsys.readouterr().out
    order = ["the packages of ferryman[s3]", "to make 4 KiB durable", "answers (MinIO)", "belongs to this bucket"]
    assert sorted(order, key=out.index) == order
    assert "read back 1 complete uploads" in out
    assert place.minio.secret_key not in out
    assert place.objects() == before


def test_without_its_packages_the_bucket_is_not_asked(
    place: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install is said, and the rest is looked at."""

    def missing(extra: str) -> list[Finding]:
        return [wrong("packages are missing: urllib3", "pip install")] if extra == "s3" else machine.check_extra(extra)

    monkeypatch.setattr("ferryman_server.commands.doctor.check_extra", missing)
    assert main(["doctor", "--port", "0"]) == 1
    out = capsys.readouterr().out
    assert "packages are missing: urllib3" in out
    assert "answers (MinIO)" not in out
    assert "no server has run on this folder yet" in out
