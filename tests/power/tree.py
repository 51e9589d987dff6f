"""Folders and files as values."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

Tree: TypeAlias = dict[str, "bytes | bytearray | Tree"]


def write_tree(tree: Tree, folder: Path) -> None:
    """Make these folders and files below `folder`, which is made too."""
    folder.mkdir(mode=0o700)
    for name, content in tree.items():
        if isinstance(content, dict):
            write_tree(content, folder / name)
        else:
            (folder / name).write_bytes(content)


def read_tree(path: str) -> Tree:
    """What lies below a folder."""
    return {
        entry.name: read_tree(entry.path) if entry.is_dir(follow_symlinks=False) else Path(entry.path).read_bytes()
        for entry in os.scandir(path)
    }


def walk(tree: Tree, above: str = "") -> Iterator[tuple[str, bytes | bytearray | None]]:
    """Every file's path and content, and every folder's path with None."""
    for name, content in tree.items():
        path = f"{above}/{name}"
        if isinstance(content, dict):
            yield path, None
            yield from walk(content, path)
        else:
            yield path, content
