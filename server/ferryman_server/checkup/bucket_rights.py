"""What the keys may do below the prefix, tried out: each thing that a server does there, and what it is allowed by."""

from collections.abc import Callable
from typing import Final, TypeAlias

from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.checkup.probe import CONTENT, Probe, patiently
from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_errors import S3Error
from ferryman_server.storage.s3_sums import Sums

_Step: TypeAlias = Callable[[Probe], Finding | None]


class _Unlike(StoreError):
    """It was done, but not so: the text says how it is."""


def check_rights(probe: Probe) -> list[Finding]:
    """Write, read, list and delete an object, begin and abort a multipart upload."""
    findings = []
    for what, permission, step in _STEPS:
        finding = _tried(probe, what, permission, step)
        if finding is not None:
            findings.append(finding)
            if step is _write:  # the others have nothing to be tried with
                break
    where = f"{probe.client.bucket}/{probe.root.removesuffix('.ferryman/probe/')}"
    return findings or [
        ok(f"the keys may write, read, list and delete below {where}, and begin and abort multipart uploads")
    ]


def _tried(probe: Probe, what: str, permission: str, step: _Step) -> Finding | None:
    try:
        return patiently(lambda: step(probe))
    except S3Error as error:
        if error.refused:
            return wrong(
                f"the keys may not {what}: {error}",
                f"allow {permission} below the prefix (on MinIO: mc admin policy attach, or the console)",
            )
        return wrong(f"to {what} failed: {error}", "look at the S3 server's own log and health, then try again")
    except _Unlike as unlike:
        return wrong(f"to {what} failed: {unlike}", "look at the rules of the bucket, and at what is before the server")


def _write(probe: Probe) -> None:
    probe.put(probe.key("object"))


def _read(probe: Probe) -> None:
    if b"".join(s3_calls.get(probe.client, probe.key("object"), 0, len(CONTENT))) != CONTENT:
        raise _Unlike("other bytes came back than were written")


def _list(probe: Probe) -> None:
    if not _is_listed(probe):
        raise _Unlike("what was written is not in the list")


def _is_listed(probe: Probe) -> bool:
    return probe.key("object") in {found.key for found in s3_calls.walk(probe.client, probe.root)}


def _begin(probe: Probe) -> None:
    upload = probe.begin(probe.key("parts"), checksums=False)
    s3_calls.send_part(probe.client, probe.key("parts"), upload, 1, CONTENT, len(CONTENT), Sums())


def _list_uploads(probe: Probe) -> Finding | None:
    if s3_calls.open_uploads(probe.client, probe.key("parts")) or not probe.uploads:
        return None
    return note(
        "the S3 server does not list multipart uploads: one whose id was lost in a crash stays until it is swept there",
        "a rule of the bucket may end such uploads after a while (AbortIncompleteMultipartUpload)",
    )


def _abort(probe: Probe) -> None:
    for key, upload in probe.uploads:
        s3_calls.abort(probe.client, key, upload)


def _delete(probe: Probe) -> None:
    s3_calls.delete(probe.client, probe.key("object"))
    if _is_listed(probe):
        raise _Unlike("it is still there")


_STEPS: Final[tuple[tuple[str, str, _Step], ...]] = (
    ("write an object", "s3:PutObject", _write),
    ("read an object", "s3:GetObject", _read),
    ("list objects", "s3:ListBucket", _list),
    ("begin a multipart upload", "s3:PutObject", _begin),
    ("list multipart uploads", "s3:ListBucketMultipartUploads", _list_uploads),
    ("abort a multipart upload", "s3:AbortMultipartUpload", _abort),
    ("delete an object", "s3:DeleteObject", _delete),
)
