"""Does the S3 server throw multipart uploads away that are still being filled?

MinIO does so by the time at which one was begun, however busy it is: after 24 hours, unless its environment
(MINIO_API_STALE_UPLOADS_EXPIRY) or its configuration (`api stale_uploads_expiry`) says otherwise. Keys that may change
its configuration (admin:ConfigUpdate; root's may) may read both.
"""

import math
import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import urllib3
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin

from ferryman_server.checkup.bucket_access import TIMEOUT, Server
from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.humane import human_duration
from ferryman_server.s3_opening import read_keys, region
from ferryman_server.settings import Settings

VARIABLE: Final = "MINIO_API_STALE_UPLOADS_EXPIRY"
LONG: Final = 30 * 86_400.0  # seconds: what may be recommended to everybody
_VALUE: Final = re.compile(r"\bstale_uploads_expiry=(\S+)")
_OVERRIDE: Final = re.compile(rf"^# {VARIABLE}=(\S+)$", re.MULTILINE)
_GO: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_STEP: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def check_sweep(settings: Settings, server: Server, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Ask the server, if it is one that may be MinIO, and judge what it says."""
    if server.url.endswith(".amazonaws.com"):
        return []
    expiry = read_expiry(server.url, environ)
    return [judge_expiry(expiry, settings.upload_ttl) if expiry is not None else _unknown(settings.upload_ttl)]


def judge_expiry(expiry: float, ttl: float) -> Finding:
    """Both in seconds. An upload may rest for `ttl` after its last byte, and its parts have to be there still."""
    begun = f"{human_duration(expiry)} after it was begun"
    text = f"the S3 server throws a multipart upload away {begun}, however busy it is"
    kept = f"upload_ttl keeps unfinished uploads {human_duration(ttl)} after their last byte"
    remedy = (
        f"set {_recommended(ttl)} in the S3 server's environment (or mc admin config set ALIAS api "
        "stale_uploads_expiry=…), well above upload_ttl and the time that the longest upload takes"
    )
    if expiry < ttl:
        return wrong(f"{text}, and {kept}: bytes that clients were told are safe would be lost", remedy)
    if expiry < 2 * ttl:
        busy = human_duration(expiry - ttl)
        lost = "any" if expiry == ttl else f"one that was under way for {busy}"
        return note(f"{text}, and {kept}: {lost} may lose bytes that its client was told are safe", remedy)
    return ok(f"{text}: an upload may be under way for {human_duration(expiry - ttl)}")


def _unknown(ttl: float) -> Finding:
    return note(
        "after what time the S3 server throws multipart uploads away cannot be read with these keys (on MinIO that is "
        "24 h after they were begun, however busy they are, unless it is told otherwise)",
        f"on MinIO, see that {_recommended(ttl)} or more is in its environment; elsewhere, that no rule of the bucket "
        "(AbortIncompleteMultipartUpload) comes sooner than upload_ttl after the end of the longest upload",
    )


def _recommended(ttl: float) -> str:
    return f"{VARIABLE}={math.ceil(max(LONG, 2 * ttl) / 3600)}h"


def read_expiry(url: str, environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds, by MinIO's configuration; None: it is not told to these keys, or this is no MinIO."""
    keys, address = read_keys(environ), urlsplit(url)
    with urllib3.PoolManager(retries=False, timeout=TIMEOUT) as pool:
        admin = MinioAdmin(
            endpoint=address.netloc,
            credentials=StaticProvider(keys.access, keys.secret, keys.token),
            region=region(environ),
            secure=address.scheme == "https",
            http_client=pool,
        )
        try:
            return parse_expiry(admin.config_get("api"))
        except Exception:  # refused (the package ends in an UnboundLocalError then), or an answer of something else
            return None


def parse_expiry(text: str) -> float | None:
    """Seconds, by MinIO's text of its `api` settings: what its environment says counts more."""
    found = _OVERRIDE.search(text) or _VALUE.search(text)
    return None if found is None else parse_duration(found[1])


def parse_duration(text: str) -> float | None:
    """Seconds of a duration as Go writes it (`1h30m`); None: it is none. MinIO takes 0 for its default."""
    steps = _STEP.findall(text)
    if not steps or "".join(number + unit for number, unit in steps) != text:
        return 86_400.0 if text == "0" else None
    seconds: float = sum(float(number) * _GO[unit] for number, unit in steps)
    return seconds or 86_400.0
