"""`Upload-Limit`: what the server takes, as the IETF protocol tells it (R7, R8)."""

from typing import Literal, TypeAlias

from ferryman_protocol import problems
from ferryman_protocol.model import Limits, Phase, Upload

AgeKey: TypeAlias = Literal["max-age", "expires"]  # draft -04/-05 (interop 6) said `expires`

# Draft -12, limits: a refusal because of any limit tells all limits of the upload.
LIMIT_KINDS = (
    problems.EXCEEDS_MAX_SIZE,
    problems.EXCEEDS_MAX_APPEND_SIZE,
    problems.BELOW_MIN_APPEND_SIZE,
    problems.BELOW_MIN_SIZE,
    problems.EXCEEDS_LENGTH,
)

UNFINISHED = (Phase.EMPTY, Phase.RECEIVING, Phase.FINISHING, Phase.WAITING)


def upload_limit(limits: Limits, *, age: int | None, age_key: AgeKey = "max-age") -> str:
    """The value of Upload-Limit. `age`: seconds the upload still lives, None when it does not expire."""
    sizes = (
        ("max-size", limits.max_size),
        ("min-size", limits.min_size or None),
        ("max-append-size", limits.max_append_size),
        ("min-append-size", limits.min_append_size),
        (age_key, age),
    )
    told = [f"{key}={value}" for key, value in sizes if value is not None]
    # Draft, limits: "If the server does not apply any limits, it MUST use min-size=0 instead of an empty header value."
    return ", ".join(told) or "min-size=0"


def remaining(upload: Upload, limits: Limits, now: float) -> int | None:
    """Whole seconds this upload still lives; None when it does not expire."""
    if upload.phase not in UNFINISHED:
        return None
    if upload.expires_at is None:
        return limits.max_age
    return max(0, int(upload.expires_at - now))
