"""The doctor looks at a bucket of a real MinIO: every thing that keeps a server out of it is named."""

import asyncio
from dataclasses import replace

import pytest

from ferryman_cli import main
from ferryman_server.checkup import machine
from ferryman_server.checkup.bucket import check_bucket
from ferryman_server.checkup.bucket_access import Server, check_clock, reach
from ferryman_server.checkup.findings import Finding, Level, wrong
from tests.s3.faults import Answer
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.server.bucket_folder import PREFIX, Bucket
from tests.server.doctor_s3_rig import bad, documented, fill, look, told, user


def test_a_bucket_that_is_as_it_should_be(place: Bucket) -> None:
    """A line for each thing; the only one to think about is how MinIO sweeps, which it does unless it is told."""
    seen = look(place)
    assert [finding.level for finding in seen.findings] == [Level.OK] * 9 + [Level.NOTE]
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
