"""Does the S3 server keep and compare checksums of whole objects, does it honour conditions, and does it copy?

The store counts on the first two when an answer was lost or a process killed: the checksum tells that an object is the
upload's, the conditions keep a late request from taking its place. Copies make final uploads out of partial ones.
"""

from collections.abc import Callable
from typing import Final

from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.checkup.probe import CONTENT, Probe, patiently
from ferryman_server.storage import s3_calls
from ferryman_server.storage.s3_books import Part
from ferryman_server.storage.s3_errors import S3Error
from ferryman_server.storage.s3_sums import Sums, summed

_SUMS: Final = summed([CONTENT])
_NEWER: Final = "use a newer S3 server: MinIO can do it since {}, or a fork of it; Amazon's can"


def check_promises(probe: Probe) -> list[Finding]:
    """All promises."""
    findings = []
    for check in (_checksums, _conditions, _copies):
        try:
            findings += check(probe)
        except S3Error as error:
            findings.append(wrong(f"what the S3 server promises could not be tried: {error}", "look at its own log"))
    return findings


# -- checksums ---------------------------------------------------------------------------------------------------------


def _checksums(probe: Probe) -> list[Finding]:
    remedy, title = _NEWER.format("January 2025"), probe.client.algorithm.title
    try:
        kept = _kept_of_put(probe) and _kept_of_parts(probe)
    except S3Error as error:
        if error.passing:
            raise
        return [wrong(f"the S3 server does not take {title} checksums, and uploads fail: {error}", remedy)]
    findings = []
    if not kept:
        findings.append(
            wrong(
                f"the S3 server keeps no {title} of whole objects: an upload whose object was made just before a "
                "crash is not known again, and is never finished",
                remedy,
            )
        )
    if not _compares(probe):
        findings.append(
            wrong(
                f"the S3 server takes bytes that do not have the {title} that was sent with them: what is damaged on "
                "the way to it is only found by ferryman doctor --verify",
                remedy,
            )
        )
    return findings or [ok(f"the S3 server keeps the {title} of whole objects, and compares it")]


def _kept_of_put(probe: Probe) -> bool:
    key = probe.key("sum")
    patiently(lambda: probe.put(key, **_field(probe, _SUMS)))
    return _has_sum(probe, key)


def _kept_of_parts(probe: Probe) -> bool:
    key = probe.key("sum-of-parts")
    patiently(lambda: _complete(probe, key))
    return _has_sum(probe, key)


def _has_sum(probe: Probe, key: str) -> bool:
    found = patiently(lambda: s3_calls.head(probe.client, key))
    return found is not None and found.has(_SUMS)


def _compares(probe: Probe) -> bool:
    return not _taken(lambda: probe.put(probe.key("wrong-sum"), **_field(probe, Sums(1, 1))))


def _field(probe: Probe, sums: Sums) -> dict[str, str]:
    return {probe.client.algorithm.field: probe.client.algorithm.text(sums)}


def _complete(probe: Probe, key: str, *, replaces: str | None = None) -> None:
    """A multipart upload of one part, which replaces the object with this ETag or, without one, no object."""
    client, upload = probe.client, probe.begin(key, checksums=True)
    etag = s3_calls.send_part(client, key, upload, 1, CONTENT, len(CONTENT), _SUMS)
    part = Part(start=0, stop=len(CONTENT), sums=_SUMS, number=1, etag=etag)
    s3_calls.complete(client, key, upload, [part], _SUMS, replaces=replaces)


# -- conditions --------------------------------------------------------------------------------------------------------


def _conditions(probe: Probe) -> list[Finding]:
    key = probe.key("condition")
    patiently(lambda: probe.put(key))
    findings = []
    ignored = _ignored(probe, key, replaces=None)
    if ignored:
        findings.append(
            wrong(
                f"the S3 server ignores If-None-Match: * when an object is made by {ignored}: a request of a killed "
                "server that arrives late would take the place of a finished upload's object, unseen",
                _NEWER.format("September 2025"),
            )
        )
    ignored = _ignored(probe, key, replaces="0" * 32)
    if ignored:
        findings.append(
            note(
                f"the S3 server ignores If-Match when an object is made by {ignored}: where the remains of an earlier "
                "attempt are replaced, what another process made in the same moment would be, too",
                _NEWER.format("September 2025"),
            )
        )
    return findings or [*_may_replace(probe, key)]


def _ignored(probe: Probe, key: str, *, replaces: str | None) -> str:
    """In which ways an object was made under this key although the condition does not hold; empty: in none."""
    size = len(CONTENT)
    ways = {
        "PUT": lambda: s3_calls.put(probe.client, key, CONTENT, size, _SUMS, {}, replaces=replaces),
        "CompleteMultipartUpload": lambda: _complete(probe, key, replaces=replaces),
    }
    return " and by ".join(name for name, request in ways.items() if _taken(request))


def _may_replace(probe: Probe, key: str) -> list[Finding]:
    found = patiently(lambda: s3_calls.head(probe.client, key))
    etag = "" if found is None else found.etag
    if _taken(lambda: s3_calls.put(probe.client, key, CONTENT, len(CONTENT), _SUMS, {}, replaces=etag)):
        return [ok("the S3 server honours If-None-Match and If-Match")]
    return [
        wrong(
            "the S3 server refuses an If-Match that holds: the remains of an earlier attempt cannot be replaced",
            _NEWER.format("September 2025"),
        )
    ]


def _taken(request: Callable[[], None]) -> bool:
    """Whether the request was done. Raises S3Error when the server is away."""

    def attempt() -> bool:
        try:
            request()
        except S3Error as error:
            if error.status is None or error.status >= 500 or error.status == 429:
                raise
            return False  # it was refused, by whatever name
        return True

    return patiently(attempt)


# -- copies ------------------------------------------------------------------------------------------------------------


def _copies(probe: Probe) -> list[Finding]:
    client, source, key = probe.client, probe.key("source"), probe.key("copy")
    patiently(lambda: probe.put(source))
    upload = patiently(lambda: probe.begin(key, checksums=False))
    try:
        patiently(lambda: s3_calls.copy_part(client, key, upload, 1, source, 0, len(CONTENT)))
    except S3Error as error:
        if error.passing and error.status != 501:
            raise
        return [
            note(
                f"the S3 server does not copy from object to object: {error}",
                "without that, final uploads of partial ones (tus concatenation) fail; nothing else needs it",
            )
        ]
    return [ok("the S3 server copies from object to object")]
