"""Does the S3 server answer, does its clock agree with ours, is the bucket there, and do the keys open it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError

from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.checkup.probe import patiently
from ferryman_server.humane import human_duration, printable
from ferryman_server.s3_opening import region
from ferryman_server.storage import s3_calls
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_errors import S3Error, plain_reason
from ferryman_server.storage.s3_names import Names

TIMEOUT: Final = urllib3.Timeout(connect=5, read=10)
SKEW: Final = 60.0  # seconds: more is worth a word
MOST_SKEW: Final = 900.0  # seconds: S3 servers refuse what is signed by a clock that is further off
SERVER: Final = 40  # characters of what a server calls itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server that answered."""

    url: str
    name: str  # what it calls itself; may be empty
    ahead: float | None  # seconds that its clock is ahead of ours; None: it does not tell the time


def reach(url: str) -> tuple[Finding, Server | None]:
    """Ask for anything, without keys: every answer will do."""
    asked = time.time()
    try:
        with urllib3.PoolManager(retries=False, timeout=TIMEOUT) as pool:
            answer = pool.request("GET", f"{url}/", redirect=False)
    except (HTTPError, OSError) as error:
        return _away(url, plain_reason(error)), None
    if answer.status == 400 and b"HTTPS server" in answer.data:
        return wrong(f"{url} takes https only", "write https:// in s3_endpoint"), None
    name = printable(answer.headers.get("server", ""))[:SERVER]
    server = Server(url=url, name=name, ahead=_ahead(answer.headers.get("date"), (asked + time.time()) / 2))
    return ok(f"{url} answers{f' ({name})' if name else ''}"), server


def _away(url: str, reason: str) -> Finding:
    text = f"{url} does not answer: {reason}"
    if "WRONG_VERSION_NUMBER" in reason:
        return wrong(text, "it seems to take http only: write http:// in s3_endpoint")
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return wrong(text, "its certificate is not trusted here: name the file of who signed it in SSL_CERT_FILE")
    if url.endswith(".amazonaws.com"):
        return wrong(text, "set s3_endpoint for a server that is not Amazon's; else look at AWS_REGION and the network")
    return wrong(text, f"start the S3 server, or correct s3_endpoint; curl -v {url}/ shows what happens on the way")


def _ahead(date: str | None, now: float) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp() - now
    except ValueError:
        return None


def check_clock(server: Server) -> Finding:
    """Whether the two clocks agree: every request is signed with the time."""
    if server.ahead is None:
        return note(f"{server.url} does not tell its time: it has to agree with this machine's to 15 minutes")
    off = human_duration(abs(server.ahead))
    text = f"the S3 server's clock is {off} {'ahead of' if server.ahead > 0 else 'behind'} this machine's"
    remedy = "set the one that is wrong, for instance with timedatectl set-ntp true"
    if abs(server.ahead) >= MOST_SKEW:
        return wrong(f"{text}: it refuses what is signed by a clock so far off (RequestTimeTooSkewed)", remedy)
    if abs(server.ahead) >= SKEW:
        return note(f"{text}; from 15 minutes on it refuses every request", remedy)
    return ok("the S3 server's clock and this machine's agree")


def check_bucket_access(client: S3Client, names: Names, environ: Mapping[str, str]) -> list[Finding]:
    """Whether the keys open the bucket, by a list of (usually) nothing."""
    try:
        patiently(lambda: s3_calls.listing(client, names.probes))
    except S3Error as error:
        return [_refused(client, error, environ)]
    return [ok(f"the bucket {client.bucket} is there, and the keys open it (region {region(environ)})")]


def _refused(client: S3Client, error: S3Error, environ: Mapping[str, str]) -> Finding:
    bucket, used = client.bucket, region(environ)
    if error.code == "AccessDenied":
        return wrong(
            f"the keys may not list what is in the bucket {bucket}: {error}",
            "allow s3:ListBucket on it; once that is so, doctor says what else they may not do",
        )
    if error.status == 404:
        return wrong(
            f"there is no bucket {bucket} at {client.endpoint}",
            "make it (mc mb, or the server's console), or correct the setting store",
        )
    if error.code in _REGIONS or error.status in (301, 307):
        return wrong(f"the region {used} is not the bucket's: {error}", "set AWS_REGION to the one it is in")
    if error.code in _REASONS:
        text, remedy = _REASONS[error.code]
        return wrong(text, remedy)
    return wrong(
        f"{client.endpoint} does not do what it is asked: {error}",
        "look at the S3 server's own log and health; is it a server of the S3 API that s3_endpoint names?",
    )


_REGIONS: Final = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "InvalidRegion"})
_TOKEN: Final = (
    "the S3 server does not take the token in AWS_SESSION_TOKEN, or no longer",
    "get temporary keys anew; with lasting keys, unset it",
)
_REASONS: Final = {
    "InvalidAccessKeyId": (
        "the S3 server does not know the key in AWS_ACCESS_KEY_ID",
        "was it deleted there, or is it another server's? Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY anew",
    ),
    "SignatureDoesNotMatch": (
        "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID, or a proxy changes the requests on their way",
        "set both variables anew; a proxy before the S3 server has to pass path and Host header on as they came",
    ),
    "RequestTimeTooSkewed": (
        "the S3 server refuses every request: its clock and this machine's differ by more than 15 minutes",
        "set the one that is wrong, for instance with timedatectl set-ntp true",
    ),
    "ExpiredToken": _TOKEN,
    "InvalidToken": _TOKEN,
    "InvalidTokenId": _TOKEN,
}
