"""Plain header values: whole numbers, media types, file names, codings, dates.

None of these functions raises: what does not follow its rule is None (or left out), and the caller decides whether
that is a refusal. Numbers are strict, because two programs that read `+5`, `007` or `1_0` differently can be made to
disagree about where a body ends.
"""

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from ferryman_protocol.headers import Headers

_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_LARGEST: Final = 2**63 - 1  # what SQLite, PostgreSQL and file systems take as a size
_WHITE: Final = " \t"

_PARAMETER: Final = re.compile(
    r';[ \t]*+(?:(?P<name>[^\s=;"]++)[ \t]*+=[ \t]*+(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"|(?P<bare>[^;"]*+)))?[ \t]*+',
    re.DOTALL,
)
_EXTENDED: Final = re.compile(r"(?i:utf-8)'[^']*+'((?:[!#$&+\-.^_`|~0-9A-Za-z]|%[0-9A-Fa-f]{2})*+)")  # RFC 8187 §3.2.1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH).total_seconds()
_LAST: Final = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH).total_seconds()
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def whole_number(text: str) -> int | None:
    """The number, if `text` is 0 or up to 19 ASCII digits without a leading zero and below 2**63; else None."""
    number = int(text) if _WHOLE.fullmatch(text) else None
    return number if number is None or number <= _LARGEST else None


def content_length(headers: Headers) -> int | None:
    """Content-Length in bytes; None when the field is absent, doubled or no whole number."""
    values = headers.all("content-length")
    return whole_number(values[0]) if len(values) == 1 else None


def media_type(value: str) -> str:
    """`type/subtype` of a Content-Type, in lower case and without parameters; empty when there is none."""
    return value.partition(";")[0].strip(_WHITE).lower()


def disposition_filename(value: str) -> str | None:
    """The file name in a Content-Disposition; None when there is none that can be read, or an empty one.

    `filename*` (RFC 8187, UTF-8 only) goes before `filename` (RFC 6266 §4.3); of a repeated parameter the first counts.
    Raw UTF-8 in `filename`, which many clients send, is understood. The name is the client's: make it safe before use.
    """
    parameters = _disposition_parameters(value)
    extended, plain = parameters.get("filename*"), parameters.get("filename")
    return (_decode_extended(extended) if extended else None) or (_decode_plain(plain) if plain else None)


def content_codings(headers: Headers) -> tuple[str, ...]:
    """The codings of Content-Encoding in the order they were applied: lower case, `identity` left out."""
    lines = headers.all("content-encoding")
    if not lines:
        return ()
    names = (name.strip(_WHITE).lower() for line in lines for name in line.split(","))
    # "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"." (RFC 9110 §8.4.1.3)
    return tuple("gzip" if name == "x-gzip" else name for name in names if name not in ("", "identity"))


def http_date(seconds: float) -> str:
    """A time (seconds since the epoch, rounded down) as an IMF-fixdate (RFC 9110 §5.6.7).

    The form has four digits for the year: what lies beyond is written as the last or first moment that fits.
    """
    return _http_date(int(min(max(seconds, _FIRST), _LAST) // 1))


@functools.lru_cache(maxsize=64)
def _http_date(seconds: int) -> str:
    """Kept for a while: the uploads of one second expire in one second."""
    moment = _EPOCH + timedelta(seconds=seconds)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"


def _disposition_parameters(value: str) -> dict[str, str]:
    """Parameters by lower-case name, quoted strings unescaped; reading stops where the syntax breaks."""
    found: dict[str, str] = {}
    at = value.find(";")
    while 0 <= at < len(value) and (match := _PARAMETER.match(value, at)):
        at = match.end()
        if match["name"] is not None:
            quoted = match["quoted"]
            text = match["bare"].strip(_WHITE) if quoted is None else re.sub(r"(?s)\\(.)", r"\1", quoted)
            found.setdefault(match["name"].lower(), text)
    return found


def _decode_extended(text: str) -> str | None:
    match = _EXTENDED.fullmatch(text)
    if match is None:
        return None
    raw = re.sub(r"%(..)", lambda escape: chr(int(escape[1], 16)), match[1]).encode("latin-1")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _decode_plain(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text  # ISO-8859-1, as RFC 6266 Appendix D expects
