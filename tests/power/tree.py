"""Folders and files as values.

An attribute of a file stands beside it, as a leaf of its own: its name is the file's, NUL, and the attribute's.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

Tree: TypeAlias = dict[str, "bytes | bytearray | Tree"]

NUL: Final = "\0"  # in no real name


def write_tree(tree: Tree, folder: Path) -> None:
    """Make these folders and files below `folder`, which is made too."""
    folder.mkdir(mode=0o700)
    for name in sorted(tree):  # a file comes before its attributes
        content = tree[name]
        if isinstance(content, dict):
            write_tree(content, folder / name)
        elif NUL in name:
            file, _, attribute = name.partition(NUL)
            os.setxattr(folder / file, attribute, content)
        else:
            (folder / name).write_bytes(content)


def read_tree(path: str) -> Tree:
    """What lies below a folder."""
    tree: Tree = {}
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            tree[entry.name] = read_tree(entry.path)
        else:
            tree[entry.name] = Path(entry.path).read_bytes()
            tree |= beside(entry.name, read_attributes(entry.path))
    return tree


def read_attributes(path: str) -> dict[str, bytes]:
    """A file's attributes, by name; those of the system are not ours."""
    return {name: os.getxattr(path, name) for name in os.listxattr(path) if name.startswith("user.")}


def beside(file: str, attributes: dict[str, bytes]) -> Tree:
    """The leaves that stand for a file's attributes."""
    return {f"{file}{NUL}{name}": value for name, value in attributes.items()}


def walk(tree: Tree, above: str = "") -> Iterator[tuple[str, bytes | bytearray | None]]:
    """Every file's path and content, every attribute's, and every folder's path with None."""
    for name, content in tree.items():
        path = f"{above}/{name}"
        if isinstance(content, dict):
            yield path, None
            yield from walk(content, path)
        else:
            yield path, content
