"""Which key an upload's object gets, and where our own objects lie.

    <prefix>/<template>                      finished uploads, as people browse them: `2026-11-22/<id>/film.zip`
    <prefix>/.ferryman/store.toml            the store's id
    <prefix>/.ferryman/partials/<id>         finished partial uploads: material for a concatenation, no library items
    <prefix>/.ferryman/tails/<id>/<name>     bytes that are not yet part of a multipart upload
    <prefix>/.ferryman/derived/<place>       what is made of uploads
    <prefix>/.ferryman/probe/<name>          what `ferryman doctor` tries things with; gone when it ends

A key is fixed in the upload's row when it is created. It holds the upload's id, so that no two are the same and an
object can be told whose it is.
"""

import re
import secrets
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from string import Formatter
from typing import Final

from ferryman_protocol.model import ID_PATTERN, Concat, Upload
from ferryman_server.disposition import safe_name
from ferryman_server.key_template import TEMPLATE, check_template

LONGEST: Final = 1024  # bytes of a key (S3, "Creating object key names")
NAMELESS: Final = "upload"
DAY: Final = 86_400  # seconds

_ID: Final = re.compile(rf"(?<![a-z2-7])({ID_PATTERN})(?![a-z2-7])")
_SHAPES: Final = {"date": r"\d{4}-\d\d-\d\d", "year": r"\d{4}", "month": r"\d\d", "day": r"\d\d", "filename": "[^/]+"}
# beside what no file name may hold: MinIO refuses these in keys where it runs on Windows, and consoles trip over them
_AWKWARD: Final = re.compile(r'[<>:"|?*\\/]')


class Names:
    """The keys of one store."""

    def __init__(self, prefix: str, template: str = TEMPLATE) -> None:
        """`prefix`: without slashes at its ends; empty: the whole bucket is ours."""
        self.root = f"{prefix}/" if prefix else ""
        self._template = check_template(template)
        self._made = re.compile(_pattern(template))
        self.own = f"{self.root}.ferryman/"
        self.identity = f"{self.own}store.toml"
        self.tails = f"{self.own}tails/"
        self.derived = f"{self.own}derived/"
        self.probes = f"{self.own}probe/"
        self._partials = f"{self.own}partials/"

    def target(self, upload: Upload, created_at: float) -> str:
        """The key of an upload's object; `created_at` in seconds since the epoch."""
        if upload.concat is Concat.PARTIAL:
            return f"{self._partials}{upload.id}"
        values = {**_day(int(created_at // DAY)), "id": upload.id, "filename": file_name(upload.filename)}
        key = self.root + self._template.format_map(values)
        excess = len(key.encode()) - LONGEST
        if excess > 0:  # only the name can be so long, and it is never all of it: templates are short
            shorter = values["filename"].encode()[: max(1, len(values["filename"].encode()) - excess)]
            values["filename"] = shorter.decode(errors="ignore") or NAMELESS
            key = self.root + self._template.format_map(values)
        return key

    def new_tail(self, upload_id: str, start: int) -> str:
        """A key for a tail that begins at this offset; never the same twice."""
        return f"{self.tails}{upload_id}/{start:016d}-{secrets.token_hex(6)}"

    def id_in(self, key: str) -> str | None:
        """Which upload's data this is; None: no upload's. A key that our template makes is read by it: a file name may
        look like an id too. What an earlier template made is not known: there the first id counts."""
        name = key.removeprefix(self.root)
        if "/.ferryman/" in f"/{name}" and not key.startswith(self.own):
            return None  # of another store, whose prefix is below ours
        if key.startswith(self.derived):
            return None  # its name has an id in it, but it can be made again
        made = self._made.fullmatch(name)
        return made["id"] if made is not None else next(iter(_ID.findall(name)), None)

    def other_store(self, key: str) -> str | None:
        """The prefix of another store, if this is what tells of one below ours."""
        prefix, found, rest = key.rpartition("/.ferryman/store.toml")
        return f"{prefix}/" if found and not rest and key != self.identity else None

    def file_name_in(self, key: str) -> str | None:
        """The file name that a key of our template has; None: it has none, or another template made it."""
        made = self._made.fullmatch(key.removeprefix(self.root))
        found = None if made is None else made.groupdict().get("filename")
        return None if found == NAMELESS else found

    def is_partial(self, key: str) -> bool:
        """Whether this is a finished partial upload's object."""
        return key.startswith(self._partials)

    def is_tail(self, key: str) -> bool:
        """Whether this is a tail of an unfinished upload."""
        return key.startswith(self.tails)


@lru_cache(maxsize=2)
def _day(days: int) -> dict[str, str]:
    """What a template may say of the day (UTC) that is so many days after the epoch."""
    day = datetime.fromtimestamp(days * DAY, UTC)
    return {"date": f"{day:%Y-%m-%d}", "year": f"{day:%Y}", "month": f"{day:%m}", "day": f"{day:%d}"}


def file_name(filename: str | None) -> str:
    """A segment of a key for a name that a client chose; never empty."""
    name = safe_name(filename) if filename is not None else ""
    name = _AWKWARD.sub("_", unicodedata.normalize("NFC", name)).rstrip(". ")
    while len(name.encode()) > 255:  # composed characters may be longer than what they were composed of
        name = name[:-1]
    return NAMELESS if name.strip("._ ") == "" else name


def _pattern(template: str) -> str:
    """What the keys of a template look like below the prefix, with groups `id` and, if it has one, `filename`."""
    pattern, seen = "", set[str]()
    for literal, field, _, _ in Formatter().parse(template):
        pattern += re.escape(literal)
        if field is None:
            continue
        shape = ID_PATTERN if field == "id" else _SHAPES[field]
        pattern += f"(?P={field})" if field in seen else f"(?P<{field}>{shape})"
        seen.add(field)
    return pattern
