"""What an entry is, by the attributes that the directory gives it: a file or a folder, and nothing else."""

import stat
from typing import Final

from ferryman_server.media.zip_errors import BadArchive

_DOS_FOLDER: Final = 0x10
_SPECIAL: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def check_kind(name: str, made_by: int, external: int, size: int) -> None:
    """Raise BadArchive for what is neither, or a folder for some readers and a file for others.

    The upper half of `external` is a Unix mode, whoever the archive says made it: some readers look, some do not.
    """
    special = _SPECIAL.get(stat.S_IFMT(external >> 16))
    if special is not None:
        raise BadArchive(f"it is {special}, and only files and folders are taken")
    folder = name.endswith("/")
    if folder and size:
        raise BadArchive(f"it is a folder by its name, and has {size} bytes: a file for some readers")
    if not folder and (external & _DOS_FOLDER or stat.S_ISDIR(external >> 16)):
        raise BadArchive("it is a folder by its attributes and a file by its name: readers differ in which it is")
