"""File names and media types that clients chose, made fit for response header fields.

Both are untrusted text: they were sent by one person and are shown to another. What comes out of here is printable
ASCII in the grammar of its field, whatever went in, so it can neither end a header line nor begin a new parameter.

Names (RFC 6266 and, for the extended form, RFC 8187): only the last segment of a path counts (RFC 6266 §4.3); control
characters are removed, and with them the marks that reverse the direction of text (they make `exe.png` of `gnp.exe`);
at most 255 bytes of UTF-8 remain, what file systems take.
"""

import re
import unicodedata
from typing import Final, Literal
from urllib.parse import quote

MAX_NAME: Final = 255  # bytes of UTF-8: the longest file name of common file systems
DEFAULT_MEDIA_TYPE: Final = "application/octet-stream"

_LONGEST_SUFFIX: Final = 16  # characters of a suffix that survive when a name is cut
_SEPARATORS: Final = re.compile(r"[/\\]")
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, lone surrogates, line and paragraph ends
_DIRECTION_MARKS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Beside quote and backslash, "%" is left out of the plain form: some agents decode it there (RFC 6266, appendix D).
_NOT_PLAIN: Final = re.compile(r"[^ !#$&-\[\]-~]")
_ATTR_CHAR: Final = "!#$&+-.^_`|~"  # beside letters and digits (RFC 8187 §3.2.1)

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE: Final = re.compile(rf"({_TOKEN}/{_TOKEN})[ \t]*(?:;(.*))?", re.DOTALL)
_CHARSET: Final = re.compile(rf'(?:^|;)[ \t]*charset=("?)({_TOKEN})\1[ \t]*(?=;|$)', re.IGNORECASE)
_LONGEST_MEDIA_TYPE: Final = 255  # characters; registered names have at most 127 on each side (RFC 6838 §4.2)


def content_disposition(kind: Literal["inline", "attachment"], filename: str | None) -> str:
    """The value of Content-Disposition: the kind, a plain file name, and an exact one where the plain one is not.

    A name of which nothing usable remains is left out.
    """
    name = safe_name(filename) if filename is not None else ""
    if not name:
        return kind
    plain = _NOT_PLAIN.sub("_", name)
    value = f'{kind}; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"
    return value


def safe_media_type(text: str | None) -> str:
    """The media type in `text`, lower-case, with no parameter but charset; application/octet-stream if it is none."""
    match = _MEDIA_TYPE.fullmatch(text.strip(" \t")) if text is not None else None
    if match is None or len(match[1]) > _LONGEST_MEDIA_TYPE:
        return DEFAULT_MEDIA_TYPE
    media_type = match[1].lower()
    charset = _CHARSET.search(match[2] or "")
    if charset is None or len(charset[2]) > _LONGEST_MEDIA_TYPE:
        return media_type
    return f"{media_type}; charset={charset[2].lower()}"


def safe_name(filename: str) -> str:
    """The last path segment without what a name must not hold, cut to its longest size; may be empty."""
    segments = [segment for segment in map(_printable, _SEPARATORS.split(filename)) if segment]
    name = _cut(segments[-1]).rstrip() if segments else ""  # the cut may have left a space at the end
    return "" if name in (".", "..") else name


def _printable(segment: str) -> str:
    if segment.isascii() and segment.isprintable():
        return segment.strip()
    kept = (c for c in segment if unicodedata.category(c) not in _UNPRINTABLE and c not in _DIRECTION_MARKS)
    return "".join(kept).strip()


def _cut(name: str) -> str:
    """At most MAX_NAME bytes, whole characters, the suffix kept if it is a short one."""
    if len(name.encode()) <= MAX_NAME:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > _LONGEST_SUFFIX:
        stem, dot, suffix = name, "", ""
    end = (dot + suffix).encode()
    return (stem.encode()[: MAX_NAME - len(end)] + end).decode(errors="ignore")
