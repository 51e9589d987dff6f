"""Resumable Uploads for HTTP: what the server says, in the words of each interop version.

`Upload-Complete: ?1` in an answer means that it comes from whoever processes the finished upload, `?0` that it comes
from the upload logic: a client resumes after `?0` and never after `?1`. So every refusal of ours carries `?0`, except
those that are a verdict on the whole upload.
"""

from typing import Final, TypeAlias

from ferryman_protocol import problems
from ferryman_protocol.admission import told_offset
from ferryman_protocol.limit_fields import LIMIT_KINDS, remaining, upload_limit
from ferryman_protocol.model import TUS_VERSION, Interim, Limits, Phase, Reply, Upload
from ferryman_protocol.problems import Problem, Refused
from ferryman_protocol.refusals import ACCEPT_ENCODING, finishing, unusable
from ferryman_protocol.rufh_versions import INTEROP_HEADER, Version

Field: TypeAlias = tuple[str, str]

_NO_STORE: Final = ("Cache-Control", "no-store")
_VERDICTS: Final = (problems.DIGEST_MISMATCH, problems.UPLOAD_FAILED)


def completeness(version: Version, complete: bool) -> Field:
    """The field that tells completeness in this version."""
    return version.completeness, "?1" if complete is not version.inverted else "?0"


def created(upload: Upload, version: Version, *, location: str, limits: Limits, now: float) -> Reply:
    """201 with everything a client needs to go on; a completed upload has one answer however it was sent (R19)."""
    fields = (
        ("Location", location),
        completeness(version, upload.phase is Phase.COMPLETE),
        ("Upload-Offset", str(upload.offset)),
        _limit(upload, version, limits, now),
        ACCEPT_ENCODING,
    )
    return Reply(status=201, headers=fields)


def appended(upload: Upload, version: Version, *, location: str, limits: Limits, now: float) -> Reply:
    """The creation's own answer once complete (R19, R21); otherwise the new offset."""
    if upload.phase is Phase.COMPLETE:
        return created(upload, version, location=location, limits=limits, now=now)
    fields = (
        completeness(version, False),
        ("Upload-Offset", str(upload.offset)),
        _limit(upload, version, limits, now),
    )
    return Reply(status=version.appended_status, headers=fields)


def inspected(upload: Upload, version: Version, *, limits: Limits, now: float) -> Reply:
    """Where the upload stands: 204, or 200 once complete where the version allows it; raises Refused."""
    problem = unusable(upload)
    if problem is not None:
        raise Refused(problem)
    offset = told_offset(upload)
    if offset is None:
        # R16: an offset that is told must be accepted next, and none would be.
        raise Refused(finishing(upload))
    complete = upload.phase is Phase.COMPLETE
    fields = [completeness(version, complete), ("Upload-Offset", str(offset))]
    if upload.length is not None:
        fields.append(("Upload-Length", str(upload.length)))
    fields += [_limit(upload, version, limits, now), _NO_STORE]
    return Reply(status=200 if complete and not version.head_only_204 else 204, headers=tuple(fields))


def refused(problem: Problem, version: Version, *, upload: Upload | None, limits: Limits, now: float) -> Reply:
    """A refusal with completeness, the offset while the upload is active, and all limits when one was violated."""
    fields = [completeness(version, problem.kind in _VERDICTS)]
    offset = told_offset(upload)
    if offset is not None:
        fields.append(("Upload-Offset", str(offset)))
    if problem.kind in LIMIT_KINDS:
        fields.append(_limit(upload, version, limits, now))
    if problem.kind.status == 412:
        fields.append(("Tus-Version", TUS_VERSION))
    return Reply(status=problem.kind.status, headers=(*fields, *problem.headers), problem=problem)


def announced(upload: Upload, version: Version, *, location: str, limits: Limits, now: float) -> Interim:
    """The 104 that tells a new upload's URL and limits (R9); it echoes the interop version (R27)."""
    fields = (_interop(version), ("Location", location), _limit(upload, version, limits, now))
    return Interim(headers=fields)


def progressed(upload: Upload, version: Version) -> Interim | None:
    """The 104 that tells a committed offset, without Location (R20); the first versions have none."""
    if not version.progress:
        return None
    return Interim(headers=(_interop(version), ("Upload-Offset", str(upload.offset))))


def _limit(upload: Upload | None, version: Version, limits: Limits, now: float) -> Field:
    """Upload-Limit, for this upload or for one that is still to be made."""
    age = limits.max_age if upload is None else remaining(upload, limits, now)
    return "Upload-Limit", upload_limit(limits, age=age, age_key=version.age_key)


def _interop(version: Version) -> Field:
    return INTEROP_HEADER, str(version.number)
