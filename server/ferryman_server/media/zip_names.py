"""Names of entries: read as every reader would read them, or refused.

An archive is refused when two systems would see two different trees in it: a name that leads out of its folder, that
ends early for readers in C, that means a folder on one system and a letter on another, that differs from another one
only in case or in how its characters are composed.
"""

import re
import unicodedata
import zlib
from typing import Final

from ferryman_server.media.zip_errors import BadArchive, shown
from ferryman_server.media.zip_fields import UNICODE_PATH

UTF8: Final = 0x0800  # general purpose bit 11: "the filename and comment fields … MUST be encoded using UTF-8"
_DRIVE: Final = re.compile(r"[A-Za-z]:")


def decode_name(raw: bytes, flags: int, fields: dict[int, bytes], most: int) -> str:
    """The name that a header gives its entry; `most` bytes at the most. Raises BadArchive."""
    if not raw:
        raise BadArchive("it has no name")
    if len(raw) > most:
        raise BadArchive(f"its name has {len(raw)} bytes, and at most {most} are taken (zip_name_length)")
    if raw.isascii():
        name = raw.decode("ascii")  # as both encodings have it, in a tenth of the time
    elif flags & UTF8:
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadArchive(
                f"its name says that it is UTF-8 (flag bit 11), and byte {error.start} of it is not",
                entry=raw.decode("cp437"),
            ) from error
    else:
        name = raw.decode("cp437")  # APPNOTE D.1: "the original ZIP character encoding of IBM Code Page 437"
    try:
        return _agreed(raw, name, fields)
    except BadArchive as bad:
        raise BadArchive(bad.reason, entry=name) from bad


def _agreed(raw: bytes, name: str, fields: dict[int, bytes]) -> str:
    """The name, which the Unicode path field (APPNOTE 4.6.9) may only repeat."""
    field = fields.get(UNICODE_PATH)
    if field is None:
        return name
    if len(field) < 5 or field[0] != 1:
        raise BadArchive("its Unicode path field (0x7075) is none of version 1: readers differ in what they do then")
    if int.from_bytes(field[1:5], "little") != zlib.crc32(raw):
        raise BadArchive("its Unicode path field (0x7075) is for another name: some readers take it all the same")
    other = field[5:]
    if other == raw:  # the same bytes are UTF-8, whether a flag says so or not
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadArchive("its Unicode path field (0x7075) is not UTF-8") from error
    if other != name.encode("utf-8"):
        text = shown(other.decode("utf-8", "replace"))
        raise BadArchive(f"its Unicode path field (0x7075) calls it {text}: readers differ in which name they take")
    return name


def check_name(name: str) -> None:
    """Raise BadArchive for a name that is not the same, harmless path everywhere."""
    if not (name.isascii() and name.isprintable()):
        _check_characters(name)
    if "\\" in name:
        raise BadArchive("its name holds a backslash, which is a folder on some systems and a letter on others")
    if name.startswith("/"):
        raise BadArchive("its name is absolute: it would lie outside the folder that it is unpacked in")
    if _DRIVE.match(name):
        raise BadArchive("its name begins with a drive letter: it would lie outside the folder that it is unpacked in")
    if ".." in name and ".." in name.split("/"):
        raise BadArchive("its name leads out of the folder that it is unpacked in ('..')")


def _check_characters(name: str) -> None:
    for character in name:
        if unicodedata.category(character) in ("Cc", "Cs"):
            what = "NUL: some readers end the name there" if character == "\0" else f"control character {character!a}"
            raise BadArchive(f"its name holds the {what}")


class Names:
    """The names of an archive's entries so far; no two may be one file anywhere, and none both a file and a folder."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}  # key → name
        self._folders: dict[str, str] = {}
        self._parents: dict[str, str] = {}  # folders that a name lies in, listed themselves or not
        self._last: str | None = None  # the folder that the last file lay in

    def add(self, name: str) -> None:
        """Take a name in. Raises BadArchive."""
        key = _key(name)
        parent, _, own = key.rpartition("/")
        if parent == self._last and own not in ("", ".") and self._is_new(key):
            self._files[key] = name  # of frames, thousands lie in one folder
        else:
            self._add(name, key)

    def _is_new(self, key: str) -> bool:
        return key not in self._files and key not in self._folders and key not in self._parents

    def _add(self, name: str, written: str) -> None:
        parts = [part for part in written.split("/") if part not in ("", ".")]
        key = "/".join(parts)
        taken = self._folders if name.endswith("/") else self._files
        if key in taken:
            raise BadArchive(_twice(name, taken[key]))
        self._check_kind(name, key)
        taken[key] = name
        self._add_parents(name, parts)
        self._last = written.rpartition("/")[0] if key == written else None

    def _check_kind(self, name: str, key: str) -> None:
        others = (self._files,) if name.endswith("/") else (self._folders, self._parents)
        clash = next((names[key] for names in others if key in names), None)
        if clash is not None:
            raise BadArchive(f"it is a file and a folder at once: there is {shown(clash)} as well")

    def _add_parents(self, name: str, parts: list[str]) -> None:
        for count in range(len(parts) - 1, 0, -1):
            parent = "/".join(parts[:count])
            if parent in self._parents:
                return
            if parent in self._files:
                raise BadArchive(f"it lies in a folder that is a file: {shown(self._files[parent])}")
            self._parents[parent] = name


def _key(name: str) -> str:
    """The same for names that some system takes for one."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _twice(name: str, other: str) -> str:
    if name == other:
        return "it is in the archive twice: readers differ in which one they take"
    if unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other):
        but = "how its characters are composed (the normal form of Unicode)"
    else:
        but = "upper and lower case" if name.casefold() == other.casefold() else "how it is written"
    return f"it has the same name as {shown(other)} but for {but}: some systems take them for one file"
