"""AWS Signature Version 4 in header fields, for requests whose payload is not hashed.

"Authenticating Requests: Using the Authorization Header" (AWS S3 API reference). The payload's hash is the constant
UNSIGNED-PAYLOAD: MinIO and AWS take it, over plain HTTP too, and what guards the bytes is a checksum beside them.
Every `x-amz-*` field is signed: MinIO refuses those that are not, and so does AWS.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

UNSIGNED: Final = "UNSIGNED-PAYLOAD"
UNRESERVED: Final = "-_.~"  # beside letters and digits: what is not percent-encoded (RFC 3986 §2.3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """Who signs."""

    access: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)  # of temporary keys


class Signer:
    """Signs requests to one region with one pair of keys."""

    def __init__(self, keys: Keys, region: str) -> None:
        self._keys = keys
        self._region = region
        self._day, self._keyed = "", hmac.new(b"", digestmod="sha256")  # with the key that holds for this day

    def sign(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        host: str,
    ) -> dict[str, str]:
        """The fields to send: those given (names in lower case), the ones that signing needs, and Authorization.

        `path` is percent-encoded already, `query` is not. `host` is what goes into the Host field.
        """
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        sent = {**headers, "host": host, "x-amz-date": moment, "x-amz-content-sha256": UNSIGNED}
        if self._keys.token is not None:
            sent["x-amz-security-token"] = self._keys.token
        names = sorted(name for name in sent if name == "host" or name.startswith("x-amz-"))
        lines = [f"{name}:{' '.join(sent[name].split())}" for name in names]
        canonical = "\n".join([method, path, query_text(query), *lines, "", ";".join(names), UNSIGNED])
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = self._signed(moment[:8], f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}")
        sent["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._keys.access}/{scope}, SignedHeaders={';'.join(names)}, "
            f"Signature={signature}"
        )
        return sent

    def _signed(self, day: str, text: str) -> str:
        """With the key of that day, in hexadecimal. A copy: setting a key costs more than these few bytes do."""
        if self._day != day:
            key = _hmac(f"AWS4{self._keys.secret}".encode(), day)
            for part in (self._region, "s3", "aws4_request"):
                key = _hmac(key, part)
            self._keyed = hmac.new(key, digestmod="sha256")
            self._day = day  # last: another thread may look
        signing = self._keyed.copy()
        signing.update(text.encode())
        return signing.hexdigest()


def query_text(query: Mapping[str, str]) -> str:
    """The query string, in the order that the signature asks for."""
    encoded = sorted((quote(name, safe=UNRESERVED), quote(value, safe=UNRESERVED)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in encoded)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
