"""Where things lie in an archive of frames.

Most tools pack either the files themselves or the one folder that holds them; both are the same to us. Some systems add
files of their own, which nobody asked for: those are junk, and do not exist here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ferryman_server.media.entries import Entry
from ferryman_server.media.frame_formats import ending_of, is_raw_ending, picture_format

METADATA: Final = "metadata.json"
FRAMES: Final = "frames/"

# macOS puts resource forks into __MACOSX/; what begins with a dot is hidden, but "." itself is the folder one is in
_JUNK: Final = re.compile(r"/(?:\.(?!/|\Z)|__MACOSX/|(?:Thumbs\.db|desktop\.ini)\Z)", re.IGNORECASE)


class File(NamedTuple):
    """A file that counts."""

    path: str  # its entry's name, without "." and empty folders in it
    entry: Entry


@dataclass(frozen=True, slots=True)
class Layout:
    """What counts in an archive, or in the part of it that is here."""

    files: list[File]
    metadata: File | None  # the metadata.json that describes the archive
    base: str  # what that one's path begins with: "", or a folder with its "/"
    in_folder: bool  # whether there is a frames/ beside it

    @property
    def folder(self) -> str:
        """Where the frames that it describes lie."""
        return self.base + FRAMES if self.in_folder else self.base


def is_junk(name: str) -> bool:
    """Whether an entry's name says that it is an operating system's litter, or hidden."""
    return _JUNK.search(f"/{name}") is not None


def is_metadata(name: str) -> bool:
    """Whether it may turn out to be the metadata.json: there may be several such names until all entries are known."""
    path = _path(name)
    return path.rpartition("/")[2] == METADATA and path.count("/") <= 1 and not is_junk(name)


def may_be_frame(name: str) -> bool:
    """Whether it ends as a frame in any of the formats does."""
    ending = ending_of(name)
    return (picture_format(ending) is not None or is_raw_ending(ending)) and not is_junk(name)


def lay_out(entries: Iterable[Entry]) -> Layout:
    """Sort out what counts. With a part of the entries it is what can be said so far."""
    paths = [File(_path(entry.name), entry) for entry in entries if not is_junk(entry.name)]
    files = [file for file in paths if file.path and not file.path.endswith("/")]
    metadata, base = _described(files)
    folder = base + FRAMES
    return Layout(files, metadata, base, any(file.path.startswith(folder) for file in paths))


def find_metadata(entries: Iterable[Entry]) -> Entry | None:
    """The entry of the metadata.json that describes the archive: at the top, or in the one folder with all else."""
    metadata = lay_out(entries).metadata
    return None if metadata is None else metadata.entry


def folder_of(path: str) -> str:
    """The folder that it lies in, with its "/"; empty at the top."""
    folder, slash, _ = path.rpartition("/")
    return folder + slash


def place(folder: str) -> str:
    """The folder in words."""
    return folder or "the top of the archive"


def _path(name: str) -> str:
    if "./" not in name and "//" not in name:
        return name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "/".join(parts) + ("/" if parts and name.endswith("/") else "")


def _described(files: list[File]) -> tuple[File | None, str]:
    tops = {top + slash if slash else "" for top, slash, _ in (file.path.partition("/") for file in files)}
    bases = [""] if "" in tops else list(tops) if len(tops) == 1 else []
    for base in bases:
        for file in files:
            if file.path == base + METADATA:
                return file, base
    return None, ""
