"""A disk that keeps nothing but what was synced, entry by entry, as POSIX allows.

Its `sync_file`, `sync_folder` and `sync_all` go into a store's seams; each takes a picture of what it stands for. A
power cut rebuilds the tree from these pictures: an entry that no folder sync saw is gone (and one whose removal was not
synced is back), a file that no sync saw is empty. Real file systems are kinder; what survives this survives them.
"""

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import TypeAlias

from tests.power.tree import read_attributes

Picture: TypeAlias = tuple[bytes, dict[str, bytes]]  # a file's content and its attributes


class SyncedDisk:
    """Watches the tree below `root`, which itself is durable from the beginning."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.failing = False  # syncs of files fail
        self.folders_failing = False
        self.log: list[str] = []  # what was synced, in order: paths relative to the root
        self._files: dict[int, Picture] = {}  # by inode
        self._folders: dict[int, dict[str, tuple[int, bool]]] = {}  # entries: name → inode, is it a folder
        self._held: dict[int, int] = {}  # an inode that is held open is not given to another file
        self._take_all(root)

    def sync_file(self, descriptor: int) -> None:
        """Take a file's picture; the seam for its `fsync`."""
        if self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        path = self._log(descriptor)
        self._files[self._hold(descriptor)] = _picture(Path(path))

    def sync_folder(self, descriptor: int) -> None:
        """Take a folder's picture; the seam for `fsync` of folders."""
        if self.folders_failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        path = self._log(descriptor)
        self._take_folder(path, self._hold(descriptor))

    def sync_all(self, descriptor: int) -> None:
        """Take a picture of everything; the seam for `syncfs`."""
        if self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.log.append("everything")
        self._take_all(self.root)

    def power_cut(self) -> None:
        """Put the tree back to what was synced."""
        files, folders, root = self._files, self._folders, os.stat(self.root).st_ino
        self.close()
        for entry in self.root.iterdir():
            shutil.rmtree(entry)
        self._rebuild(self.root, root, files, folders, {})
        self._files, self._folders = {}, {}
        self._take_all(self.root)

    def close(self) -> None:
        """Let go of all inodes."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held = {}

    def _log(self, descriptor: int) -> str:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        self.log.append(os.path.relpath(path, self.root))
        return path

    def _hold(self, descriptor: int) -> int:
        inode = os.fstat(descriptor).st_ino
        if inode not in self._held:
            self._held[inode] = os.dup(descriptor)
        return inode

    def _take_folder(self, path: str, inode: int) -> None:
        entries = {}
        for name in os.listdir(path):
            descriptor = os.open(os.path.join(path, name), os.O_RDONLY | os.O_NOFOLLOW)
            entries[name] = (self._hold(descriptor), stat.S_ISDIR(os.fstat(descriptor).st_mode))
            os.close(descriptor)
        self._folders[inode] = entries

    def _take_all(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        inode = self._hold(descriptor)
        os.close(descriptor)
        if path.is_file():
            self._files[inode] = _picture(path)
            return
        self._take_folder(str(path), inode)
        for entry in path.iterdir():
            self._take_all(entry)

    def _rebuild(
        self,
        path: Path,
        inode: int,
        files: dict[int, Picture],
        folders: dict[int, dict[str, tuple[int, bool]]],
        made: dict[int, Path],
    ) -> None:
        for name, (child, is_folder) in folders.get(inode, {}).items():
            place = path / name
            if is_folder:
                place.mkdir(mode=0o700)
                self._rebuild(place, child, files, folders, made)
            elif child in made:
                os.link(made[child], place)
            else:
                content, attributes = files.get(child, (b"", {}))
                place.write_bytes(content)
                for attribute, value in attributes.items():
                    os.setxattr(place, attribute, value)
                made[child] = place


def _picture(path: Path) -> Picture:
    return path.read_bytes(), read_attributes(str(path))
