"""The doctor tries what a real MinIO promises, reads how soon it sweeps, and leaves nothing behind."""

import io
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from dev.ports import free_ports
from ferryman_server.checkup import probe
from ferryman_server.checkup.bucket import check_bucket
from ferryman_server.checkup.bucket_promises import check_promises
from ferryman_server.checkup.bucket_speed import judge_speed
from ferryman_server.checkup.bucket_sweep import judge_expiry, parse_duration, parse_expiry, read_expiry
from ferryman_server.checkup.findings import Finding, Level
from ferryman_server.checkup.probe import probing
from ferryman_server.storage import s3_calls
from ferryman_server.storage.s3_client import Answer as Answered
from ferryman_server.storage.s3_client import Body, S3Client
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.s3_signing import Keys
from ferryman_server.storage.s3_sums import CRC32C, CRC64NVME, Algorithm
from tests.minio import Minio
from tests.s3.faults import Answer
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.server.bucket_folder import PREFIX, Bucket
from tests.server.doctor_s3_rig import DATA, admin, documented, look, told, user

DAY = 86_400.0


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


def promises(place: Bucket, *unknown: str, algorithm: Algorithm = CRC32C) -> list[Finding]:
    """What the doctor says of a server that does not know these fields."""
    keys = Keys(access=place.minio.access_key, secret=place.minio.secret_key)
    client = Old(place.endpoint, place.name, keys, "us-east-1", algorithm)
    client.unknown = unknown
    try:
        with probing(client, Names(PREFIX)) as tried:
            findings = check_promises(tried)
        assert tried.left == []
    finally:
        client.close()
    assert place.objects() == []
    return findings


@pytest.mark.parametrize("algorithm", [CRC32C, CRC64NVME])
def test_a_new_server_keeps_its_promises(place: Bucket, algorithm: Algorithm) -> None:
    """Checksums of the kind that is set, conditions and copies."""
    findings = promises(place, "x-nothing", algorithm=algorithm)
    assert [finding.level for finding in findings] == [Level.OK] * 3
    assert f"keeps the {algorithm.title} of whole objects" in findings[0].text


@pytest.mark.parametrize(
    ("field", "level", "lost"),
    [
        ("if-none-match", Level.WRONG, "would take the place of a finished upload's object, unseen"),
        ("if-match", Level.NOTE, "what another process made in the same moment would be, too"),
    ],
)
def test_a_server_that_ignores_conditions(place: Bucket, field: str, level: Level, lost: str) -> None:
    """What is lost is named, and so are the ways of making an object."""
    _, finding, _ = promises(place, field)
    assert (finding.level, lost in finding.text) == (level, True)
    assert "made by PUT and by CompleteMultipartUpload" in finding.text


def test_a_server_that_knows_no_checksums(place: Bucket) -> None:
    """It neither keeps nor compares them."""
    kept, compared, conditions, _ = promises(place, "x-amz-checksum", "x-amz-sdk-checksum")
    assert (kept.level, compared.level, conditions.level) == (Level.WRONG, Level.WRONG, Level.OK)
    assert "is never finished" in kept.text
    assert "damaged on the way" in compared.text


def test_a_server_that_refuses_checksums(place: Bucket, proxy: FaultProxy) -> None:
    """An older MinIO does not know the algorithm."""
    proxy.on(
        Operation.PUT,
        do=Answer(400, "InvalidArgument"),
        where=lambda seen: CRC32C.field in seen.headers,
        times=None,
    )
    findings = promises(replace(place, endpoint=proxy.endpoint))
    assert "does not take CRC-32C checksums, and uploads fail: PUT" in findings[0].text


@pytest.mark.parametrize("status", [400, 501])
def test_a_server_that_does_not_copy(place: Bucket, proxy: FaultProxy, status: int) -> None:
    """Only final uploads are made so: everything else works."""
    proxy.on(Operation.UPLOAD_PART_COPY, do=Answer(status, "NotImplemented"), times=None)
    finding = promises(replace(place, endpoint=proxy.endpoint))[-1]
    assert (finding.level, "tus concatenation" in finding.remedy) == (Level.NOTE, True)


def links(place: Bucket, reached: str) -> Finding:
    """What the doctor says of downloads that are sent there."""
    settings = replace(place.settings, s3_downloads="redirect", s3_public_endpoint=reached)
    (finding,) = [
        finding
        for finding in check_bucket(settings, place.environment).findings
        if finding.text.startswith(f"downloads are sent to {reached}")
    ]
    assert place.objects() == []
    return finding


def test_downloads_from_the_server_itself_are_tried(place: Bucket) -> None:
    """A link is followed as a client would; another name of the same host is another address."""
    assert links(place, place.endpoint.replace("127.0.0.1", "localhost")).level is Level.OK


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "AccessDenied"])
def test_links_that_are_refused_on_the_way_are_wrong(place: Bucket, proxy: FaultProxy, code: str) -> None:
    """Every download would fail so."""
    proxy.on(Operation.GET, do=Answer(403, code), times=None)
    finding = links(place, proxy.endpoint)
    assert finding.level is Level.WRONG
    assert f"does not bring the object, but 403 {code}" in finding.text
    assert "Host header" in finding.remedy


def test_links_to_something_else_are_wrong(place: Bucket) -> None:
    """The console's port is easily taken for the server's, and answers everything with its page."""
    finding = links(place, place.minio.console.rstrip("/"))
    assert finding.level is Level.WRONG
    assert "but something else" in finding.text


def test_links_that_cannot_be_followed_from_here_are_noted(place: Bucket) -> None:
    """Clients may reach what the server does not."""
    (port,) = free_ports(1)
    finding = links(place, f"http://127.0.0.1:{port}")
    assert finding.level is Level.NOTE
    assert "refused" in finding.text


def test_downloads_through_the_server_need_no_links(place: Bucket) -> None:
    """Nothing is said of them."""
    assert "downloads are sent" not in told(look(place).findings)


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
