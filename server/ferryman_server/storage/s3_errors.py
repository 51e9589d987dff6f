"""What an S3 server answers when it does not do something, and what may be tried again.

S3Error      a status and a code, `NoSuchUpload` for instance; no status: there was no answer, and it may be done
 └─ S3Full   no room there
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from xml.etree import ElementTree

from ferryman_server.storage.base import BytesLost, StoreError, StoreFull
from ferryman_server.storage.s3_books import CREATING

# "Error responses" of the S3 API, and MinIO's own: the same request may succeed a moment later.
PASSING: Final = frozenset(
    {"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"}
    | {"BadDigest", "XAmzContentChecksumMismatch"}  # damaged on the way
)
_FULL: Final = frozenset({"XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"})
_LOST: Final = frozenset({"NoSuchUpload", "InvalidPart", "InvalidPartOrder"})
_REFUSED: Final = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"})
_NAMESPACE: Final = re.compile(r"^\{[^}]*\}")


class S3Error(StoreError):
    """One request failed. `str()` is for logs: it names the request, never a key or a signature."""

    def __init__(self, what: str, *, status: int | None, code: str, message: str = "") -> None:
        answer = f"{status} {code}" if status is not None else code
        super().__init__(f"{what}: {answer}{f' ({message})' if message else ''}")
        self.status = status  # None: there was no answer
        self.code = code

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed in a moment."""
        return self.status is None or self.status >= 500 or self.status == 429 or self.code in PASSING

    @property
    def parts_lost(self) -> bool:
        """Whether the multipart upload, or a part of it that was acknowledged, is gone."""
        return self.code in _LOST

    @property
    def refused(self) -> bool:
        """Whether the keys or their rights are wrong: an operator has to mend it."""
        return self.code in _REFUSED or self.status in (401, 403)


class S3Full(S3Error, StoreFull):
    """No room left there."""

    @property
    def passing(self) -> bool:
        """It is not made room for in a moment."""
        return False


@contextmanager
def telling_of_lost_parts(upload_id: str) -> Iterator[None]:
    """Raise BytesLost for an S3Error that says that an upload's parts are gone."""
    try:
        yield
    except S3Error as error:
        if error.parts_lost:
            reason = f"the parts of upload {upload_id} were deleted by somebody else ({error})"
            raise BytesLost(reason, remember={CREATING: "1"}) from error
        raise


def unreachable(what: str, reason: BaseException) -> S3Error:
    """No answer came, or half of one."""
    return S3Error(what, status=None, code="no answer", message=plain_reason(reason))


def refusal(what: str, status: int, document: bytes) -> S3Error:
    """The server's answer, from its status and its XML document (empty for HEAD)."""
    code, message = read_error(document)
    kind = S3Full if code in _FULL or status == 507 else S3Error
    return kind(what, status=status, code=code or _DEFAULTS.get(status, "error"), message=message)


def read_error(document: bytes) -> tuple[str, str]:
    """Code and message of an error document; empty where it is none."""
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError:
        return "", ""
    if local_name(root) != "Error":
        return "", ""
    texts = {local_name(child): (child.text or "").strip() for child in root}
    return texts.get("Code", ""), texts.get("Message", "")


def local_name(element: ElementTree.Element) -> str:
    """The element's name without its namespace: servers differ in whether they send one."""
    return _NAMESPACE.sub("", element.tag)


_DEFAULTS: Final = {
    403: "AccessDenied",
    404: "NotFound",
    412: "PreconditionFailed",
    416: "InvalidRange",
    503: "ServiceUnavailable",
}


def plain_reason(reason: BaseException) -> str:
    """The innermost reason why there was no answer: urllib3 wraps them, and its texts hold addresses in memory."""
    inner = getattr(reason, "reason", None)
    if isinstance(inner, BaseException):
        return plain_reason(inner)
    text = str(reason.__cause__ or reason.__context__ or reason)
    return re.sub(r"<[^>]* at 0x[0-9a-f]+>:? ?", "", text)
