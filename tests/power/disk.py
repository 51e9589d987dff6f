"""What a disk has after a power cut, computed from what a process did to it.

Rules. A file's bytes are durable when a sync of that file, begun after they were written, ended well, its attributes
when that was an fsync; a folder's entries when a sync of that folder did. Nothing else is promised (POSIX), and real
file systems keep more, each in its own way. So there are several images of one moment:

- `STRICT`: what was synced and nothing else. A file whose folder was not synced has no name; a file that was moved has
  its new name after a sync of the new folder and loses its old one after a sync of the old: each alone is possible.
- `JOURNAL`: names, sizes, attributes and moves as they were at some moment since the last sync, in order, as
  journalling file systems keep them; of unsynced bytes each sector for itself, and zeros where there were none before.
- `SHUFFLED`: each change of a name, size or attribute for itself, each sector for itself, sectors torn. A move is one
  change, and nothing is moved into a folder that is not there.
- `WHOLE`: everything, as after a process that was killed.

After a failed sync the kernel calls the pages clean and forgets them: no later sync makes these bytes durable, and its
good end means nothing for them. They read well until the power goes. Sizes and attributes are no pages: they wait for
the next sync.
"""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from tests.power.oplog import Kind, Operation, What
from tests.power.tree import NUL, Tree, beside, read_attributes, read_tree, walk

SECTOR: Final = 4096  # bytes that are kept or lost together, except where they are torn
TEAR: Final = 512  # bytes that are never torn


class Image(StrEnum):
    """How much more than what was synced is left."""

    STRICT = "strict"
    JOURNAL = "journal"
    SHUFFLED = "shuffled"
    WHOLE = "whole"


@dataclass(slots=True)
class _Change:
    """A change of a file: bytes written at an offset, or a new length."""

    number: int  # of the operation
    offset: int  # bytes; the new length if there is no data
    data: bytes | None
    lost: bool = False  # a failed sync has taken the data; the size stands


@dataclass(slots=True)
class _Mark:
    """A change of a file's attribute."""

    number: int  # of the operation
    name: str
    value: bytes | None  # None: it is removed


@dataclass(slots=True)
class _Move:
    """A change of one entry, or the two of a rename."""

    number: int  # of the operation
    needs: "list[_Move]" = field(default_factory=list)  # made the folder that it was into, or the name it was from
    durable: bool = False  # at least one of them

    def settle(self) -> None:
        """It is durable, and so, on every real file system, is what it needs."""
        self.durable = True
        for move in self.needs:
            move.settle()


@dataclass(slots=True)
class _Entry:
    """A name's new meaning in one folder."""

    name: str
    node: "_Node | None"
    move: _Move


@dataclass(slots=True)
class _State:
    """What a file holds."""

    content: bytearray = field(default_factory=bytearray)
    attributes: dict[str, bytes] = field(default_factory=dict)

    def copy(self) -> "_State":
        return _State(self.content.copy(), self.attributes.copy())


@dataclass(slots=True, eq=False)
class _File:
    live: _State = field(default_factory=_State)
    durable: _State = field(default_factory=_State)
    pending: list[_Change | _Mark] = field(default_factory=list)

    def change(self, change: _Change | _Mark) -> None:
        _apply(self.live, change)
        self.pending.append(change)

    def settle(self, begun: int, *, bytes_only: bool = False) -> None:
        pending, self.pending = self.pending, []
        for change in pending:
            if change.number < begun and not (bytes_only and isinstance(change, _Mark)):
                _apply(self.durable, change)
            else:
                self.pending.append(change)

    def lose(self, begun: int) -> None:
        for change in self.pending:
            if isinstance(change, _Change):
                change.lost = change.lost or change.number < begun


@dataclass(slots=True, eq=False)
class _Folder:
    live: "dict[str, _Node]" = field(default_factory=dict)
    durable: "dict[str, _Node]" = field(default_factory=dict)
    pending: list[_Entry] = field(default_factory=list)
    made: _Move | None = None  # None: it was there from the beginning

    def change(self, entry: _Entry) -> None:
        _enter(self.live, entry)
        self.pending.append(entry)

    def settle(self, begun: int) -> None:
        for entry in self.pending:
            if entry.move.number < begun:
                _enter(self.durable, entry)
                entry.move.settle()
        self.pending = [entry for entry in self.pending if entry.move.number >= begun]


_Node: TypeAlias = _File | _Folder


class Disk:
    """A tree of folders and files, and what of it is durable. Everything is at first."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._nodes: dict[int, _Node] = {}  # by inode number: given to another file only after a new CREATE or MKDIR
        self._syncs: dict[int, tuple[int, Operation]] = {}  # under way, by token: the number it began at
        self._settled = 0  # the number at which the last good sync began
        self.count = 0  # operations so far
        self._top = self._take(self._root)

    def apply(self, operation: Operation) -> None:
        """One more thing that happened."""
        self.count += 1
        match operation.kind:
            case Kind.CREATE:
                self._make(operation, _File())
            case Kind.MKDIR:
                self._make(operation, _Folder())
            case Kind.WRITE:
                self._file(operation.a).change(_Change(self.count, operation.b, operation.data))
            case Kind.TRUNCATE:
                self._file(operation.a).change(_Change(self.count, operation.b, None))
            case Kind.ATTRIBUTE:
                self._file(operation.a).change(_Mark(self.count, *operation.attribute))
            case Kind.UNLINK | Kind.RMDIR:
                self._name(operation.path, None)
            case Kind.LINK:
                old, new = operation.paths
                self._name(new, self._find(old))
            case Kind.RENAME:
                self._rename(*operation.paths)
            case Kind.SYNC:
                self._syncs[operation.b] = (self.count, operation)
            case Kind.SYNCED:
                self._synced(*self._syncs.pop(operation.b), well=operation.c == 0)
            case Kind.START:
                self._syncs.clear()  # the process that waited for them is dead

    def image(self, kind: Image, chance: random.Random) -> Tree:
        """What is left when the power goes now. The tree may share memory with the disk: use it before going on."""
        match kind:
            case Image.STRICT:
                return _tree(self._top, lambda folder: folder.durable, lambda file: file.durable)
            case Image.WHOLE:
                return _tree(self._top, lambda folder: folder.live, lambda file: file.live)
            case Image.JOURNAL:
                end = chance.randint(self._settled, self.count) + 1
                return self._luck(lambda number: number < end, chance)
            case Image.SHUFFLED:
                most = chance.choice((0.1, 0.5, 0.9))
                return self._luck(lambda number: chance.random() < most, chance)

    def lengths(self) -> dict[str, int]:
        """How long each file is by now, synced or not, by its last name."""
        leaves = walk(self.image(Image.WHOLE, random.Random()))
        files = {path: content for path, content in leaves if content is not None and NUL not in path}
        return {os.path.basename(path): len(content) for path, content in files.items()}

    def difference(self) -> str | None:
        """Where the folder, as it really is, differs from what the operations made of it; None: nowhere.

        A file that SQLite maps into memory is left out: it is made anew at each start.
        """
        model = dict(walk(self.image(Image.WHOLE, random.Random())))
        real = dict(walk(read_tree(self._root)))
        for path in sorted(model.keys() | real.keys()):
            if not path.endswith("-shm") and model.get(path) != real.get(path):
                where = path.replace(NUL, " ")  # for people
                return f"{where}: {_told(model.get(path))} in the model, {_told(real.get(path))} in the folder"
        return None

    # What happened

    def _make(self, operation: Operation, node: _Node) -> None:
        self._nodes[operation.a] = node
        move = self._name(operation.path, node)
        if isinstance(node, _Folder):
            node.made = move

    def _rename(self, old: str, new: str) -> None:
        move = self._name(new, self._find(old))
        parent, name = self._place(old)
        move.needs += [entry.move for entry in parent.pending if entry.name == name][-1:]
        self._name(old, None, move)

    def _name(self, path: str, node: _Node | None, move: _Move | None = None) -> _Move:
        parent, name = self._place(path)
        move = move or _Move(self.count, [parent.made] if parent.made is not None else [])
        parent.change(_Entry(name, node, move))
        return move

    def _place(self, path: str) -> tuple[_Folder, str]:
        folder, name = os.path.split(os.path.normpath(path))
        parent = self._find(folder)
        assert isinstance(parent, _Folder), path
        return parent, name

    def _synced(self, begun: int, operation: Operation, *, well: bool) -> None:
        what = What(operation.c)
        nodes = list(self._nodes.values()) if what is What.EVERYTHING else [self._nodes[operation.a]]
        for node in nodes:
            if not well:
                if isinstance(node, _File):
                    node.lose(begun)
            elif what is What.BYTES:
                assert isinstance(node, _File)
                node.settle(begun, bytes_only=True)
            else:
                node.settle(begun)
        if well:
            self._settled = max(self._settled, begun)

    def _file(self, inode: int) -> _File:
        node = self._nodes[inode]
        assert isinstance(node, _File)
        return node

    def _find(self, path: str) -> _Node:
        node: _Node = self._top
        for part in os.path.relpath(os.path.normpath(path), self._root).split(os.sep):
            if part != ".":
                assert isinstance(node, _Folder), path
                node = node.live[part]
        return node

    def _take(self, path: str) -> _Folder:
        folder = _Folder()
        self._nodes[os.stat(path).st_ino] = folder
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                folder.live[entry.name] = self._take(entry.path)
            else:
                state = _State(bytearray(Path(entry.path).read_bytes()), read_attributes(entry.path))
                node = self._nodes[entry.inode()] = _File(state, state.copy())
                folder.live[entry.name] = node
        folder.durable = dict(folder.live)
        return folder

    # What is left

    def _luck(self, keeps: Callable[[int], bool], chance: random.Random) -> Tree:
        """An image that keeps a change of a name, a size or an attribute if `keeps` says so, and of the bytes each
        sector by luck."""
        moves: dict[int, bool] = {}
        share = chance.choice((0.0, 0.5, 1.0))

        def kept(move: _Move) -> bool:
            if id(move) not in moves:
                moves[id(move)] = move.durable or (keeps(move.number) and all(map(kept, move.needs)))
            return moves[id(move)]

        def entries(folder: _Folder) -> dict[str, _Node]:
            left = dict(folder.durable)
            for entry in folder.pending:
                if kept(entry.move):
                    _enter(left, entry)
            return left

        def state(file: _File) -> _State:
            if not file.pending:
                return file.durable
            left = file.durable.copy()
            for change in file.pending:
                _apply_by_luck(left, change, keeps(change.number), share, chance)
            return left

        return _tree(self._top, entries, state)


def _apply(state: _State, change: _Change | _Mark) -> None:
    if isinstance(change, _Mark):
        _mark(state.attributes, change)
    else:
        _write(state.content, change)


def _apply_by_luck(state: _State, change: _Change | _Mark, kept: bool, share: float, chance: random.Random) -> None:
    if isinstance(change, _Change):
        _write_by_luck(state.content, change, kept, share, chance)
    elif kept:
        _mark(state.attributes, change)


def _mark(attributes: dict[str, bytes], mark: _Mark) -> None:
    if mark.value is None:
        attributes.pop(mark.name, None)
    else:
        attributes[mark.name] = mark.value


def _write(content: bytearray, change: _Change) -> None:
    if change.data is None:
        _resize(content, change.offset)
    elif change.lost:
        _resize(content, max(len(content), change.offset + len(change.data)))
    else:
        if change.offset > len(content):
            _resize(content, change.offset)
        content[change.offset : change.offset + len(change.data)] = change.data


def _write_by_luck(content: bytearray, change: _Change, resized: bool, share: float, chance: random.Random) -> None:
    if change.data is None:
        if resized:
            _resize(content, change.offset)
        return
    end = change.offset + len(change.data)
    if resized and end > len(content):
        _resize(content, end)
    if change.lost:
        return
    for start, stop in _sectors(change.offset, min(end, len(content))):  # what lies beyond the length is not seen
        if chance.random() < share:
            if chance.random() < 0.1:
                stop = min(stop, (start // TEAR + chance.randint(1, SECTOR // TEAR)) * TEAR)
            content[start:stop] = change.data[start - change.offset : stop - change.offset]


def _sectors(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield start, stop
        start = stop


def _resize(content: bytearray, length: int) -> None:
    if length < len(content):
        del content[length:]
    else:
        content.extend(bytes(length - len(content)))


def _enter(entries: dict[str, _Node], entry: _Entry) -> None:
    if entry.node is None:
        entries.pop(entry.name, None)
    else:
        entries[entry.name] = entry.node


def _tree(folder: _Folder, entries: Callable[[_Folder], dict[str, _Node]], state: Callable[[_File], _State]) -> Tree:
    tree: Tree = {}
    for name, node in entries(folder).items():
        if isinstance(node, _Folder):
            tree[name] = _tree(node, entries, state)
        else:
            left = state(node)
            tree[name] = left.content
            tree |= beside(name, left.attributes)
    return tree


def _told(content: bytes | bytearray | None) -> str:
    return "nothing or a folder" if content is None else f"{len(content)} bytes"
