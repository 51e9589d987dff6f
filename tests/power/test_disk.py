"""The model itself: small programs under the shim, and what is left of what they wrote."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.power.disk import Disk, Image
from tests.power.oplog import OpLog
from tests.power.shim import Watch
from tests.power.tree import Tree, read_tree, write_tree

PRELUDE = """
import mmap, os
def put(path, data, at=0, sync=False):
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.pwrite(file, data, at)
    if sync: os.fdatasync(file)
    os.close(file)
def sync(path):
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)
def mark(path, value, sync=False):
    file = os.open(path, os.O_WRONLY)
    os.setxattr(file, 'user.m', value)
    if sync: os.fsync(file)
    os.close(file)
"""


def run(program: str, folder: Path, **failing: object) -> Disk:
    """Let a Python program work in `disk`, and give the power-less disk."""
    root = folder / "disk"
    root.mkdir()
    disk, watch = Disk(root), Watch.over(root, folder / "watch")
    if failing:
        watch.fail_syncs(1, of=str(failing["of"]))
    environment = {**os.environ, **watch.environment(delay=0)}
    subprocess.run([sys.executable, "-c", PRELUDE + program], cwd=root, env=environment, check=True)
    for operation in OpLog(watch.log).operations:
        disk.apply(operation)
    assert disk.difference() is None
    return disk


def strict(disk: Disk) -> Tree:
    """What is left at the least."""
    return disk.image(Image.STRICT, random.Random(0))


@pytest.mark.parametrize(
    ("program", "left"),
    [
        ("put('a', b'xyz', sync=True)", {}),
        ("put('a', b'xyz'); sync('.')", {"a": b""}),
        ("put('a', b'xyz', sync=True); sync('.')", {"a": b"xyz"}),
        ("put('a', b'xyz', sync=True); put('a', b'123', 3); sync('.')", {"a": b"xyz"}),
        ("put('a', b'xyz', sync=True); sync('.'); os.truncate('a', 1)", {"a": b"xyz"}),
        ("put('a', b'xyz', sync=True); sync('.'); os.truncate('a', 1); sync('a')", {"a": b"x"}),
        ("put('a', b'xyz', sync=True); sync('.'); os.unlink('a')", {"a": b"xyz"}),
        ("put('a', b'xyz', sync=True); sync('.'); os.unlink('a'); sync('.')", {}),
        ("os.mkdir('d'); put('d/a', b'xyz', sync=True); sync('.')", {"d": {}}),
        ("os.mkdir('d'); put('d/a', b'xyz', sync=True); sync('d')", {}),
        ("os.mkdir('d'); put('d/a', b'xyz', sync=True); sync('d'); sync('.')", {"d": {"a": b"xyz"}}),
        ("put('a', b'xyz', sync=True); sync('.'); os.rename('a', 'b')", {"a": b"xyz"}),
        ("put('a', b'xyz', sync=True); sync('.'); os.rename('a', 'b'); sync('.')", {"b": b"xyz"}),
        ("put('a', b'xyz'); put('b', b'1', sync=True); sync('.'); os.sync()", {"a": b"xyz", "b": b"1"}),
        ("put('a', b'x', 4, sync=True); sync('.')", {"a": b"\0\0\0\0x"}),
        ("put('a', b'xyz', sync=True); put('a', b'1', sync=True); sync('.'); open('a', 'w')", {"a": b"1yz"}),
    ],
)
def test_only_what_was_synced_is_left(place: Path, tmp_path: Path, program: str, left: Tree) -> None:
    """A file's bytes need a sync of the file, its name one of the folder, and neither stands for the other."""
    assert strict(run(program, tmp_path)) == left


MARKED = "put('a', b'xyz', sync=True); mark('a', b'1', sync=True); sync('.'); "


@pytest.mark.parametrize(
    ("program", "left"),
    [
        ("put('a', b'xyz', sync=True); sync('.'); mark('a', b'1')", {"a": b"xyz"}),
        ("put('a', b'xyz', sync=True); mark('a', b'1', sync=True)", {}),
        (MARKED, {"a": b"xyz", "a\0user.m": b"1"}),
        ("put('a', b'xyz'); sync('.'); mark('a', b'1'); put('a', b'123', 3, sync=True)", {"a": b"xyz123"}),
        ("put('a', b'xyz'); sync('.'); mark('a', b''); os.sync()", {"a": b"xyz", "a\0user.m": b""}),
        (MARKED + "mark('a', b'22')", {"a": b"xyz", "a\0user.m": b"1"}),
        (MARKED + "mark('a', b'22'); sync('a')", {"a": b"xyz", "a\0user.m": b"22"}),
        (MARKED + "os.removexattr('a', 'user.m'); sync('.')", {"a": b"xyz", "a\0user.m": b"1"}),
        (MARKED + "os.removexattr('a', 'user.m'); sync('a')", {"a": b"xyz"}),
        (MARKED + "os.rename('a', 'b')", {"a": b"xyz", "a\0user.m": b"1"}),
        (MARKED + "os.rename('a', 'b'); sync('.')", {"b": b"xyz", "b\0user.m": b"1"}),
        (MARKED + "os.unlink('a'); sync('.'); put('a', b'new', sync=True); sync('.')", {"a": b"new"}),
    ],
)
def test_an_attribute_needs_a_sync_of_its_file(tmp_path: Path, program: str, left: Tree) -> None:
    """It is like the file's bytes, but that `fdatasync` need not store it: it goes where the file goes."""
    assert strict(run(program, tmp_path)) == left


def test_every_way_to_an_attribute_is_seen(tmp_path: Path) -> None:
    """By descriptor and by path, set and removed; a call that fails has changed nothing."""
    program = """
put('a', b'xyz')
file = os.open('a', os.O_RDONLY)
os.setxattr('a', 'user.path', b'1'); os.setxattr('a', 'user.link', b'\\0\\n', follow_symlinks=False)
os.setxattr(file, 'user.file', b'3'); os.setxattr(os.path.abspath('a'), 'user.whole', b'4')
for number, name in enumerate(('path', 'link', 'file')): os.setxattr('a', f'user.old{number}', b'5')
os.removexattr('a', 'user.old0'); os.removexattr('a', 'user.old1', follow_symlinks=False)
os.removexattr(file, 'user.old2')
for name, flags in (('user.path', os.XATTR_CREATE), ('user.none', os.XATTR_REPLACE)):
    try: os.setxattr('a', name, b'no', flags)
    except OSError: pass
"""
    disk = run(program, tmp_path)  # compares the model with the folder
    values = {"path": b"1", "link": b"\0\n", "file": b"3", "whole": b"4"}
    whole = {"a": b"xyz"} | {f"a\0user.{name}": value for name, value in values.items()}
    assert disk.image(Image.WHOLE, random.Random(0)) == whole
    assert strict(disk) == {}
    assert disk.lengths() == {"a": 3}


def test_attributes_that_are_there_already_are_durable(tmp_path: Path) -> None:
    """What an image is written as is what the next disk begins with; what changes unseen is found."""
    left: Tree = {"d": {"a\0user.m": b"1", "a": b"xyz", "b": b""}, "e": {}}
    write_tree(left, tmp_path / "disk")
    assert read_tree(str(tmp_path / "disk")) == left
    disk = Disk(tmp_path / "disk")
    assert strict(disk) == disk.image(Image.WHOLE, random.Random(0)) == left
    assert disk.difference() is None
    os.setxattr(tmp_path / "disk/d/a", "user.m", b"22")
    assert disk.difference() == "/d/a user.m: 1 bytes in the model, 2 bytes in the folder"


MOVE = "os.mkdir('p'); os.mkdir('q'); put('p/a', b'xyz', sync=True); sync('p'); sync('.'); os.rename('p/a', 'q/a'); "


@pytest.mark.parametrize(
    ("synced", "left"),
    [
        ("", {"p": {"a": b"xyz"}, "q": {}}),
        ("sync('q')", {"p": {"a": b"xyz"}, "q": {"a": b"xyz"}}),
        ("sync('p')", {"p": {}, "q": {}}),
        ("sync('q'); sync('p')", {"p": {}, "q": {"a": b"xyz"}}),
    ],
)
def test_a_move_is_two_names_that_are_synced_each_by_itself(tmp_path: Path, synced: str, left: Tree) -> None:
    """Who syncs the old folder first has a moment without any name for the file."""
    assert strict(run(MOVE + synced, tmp_path)) == left


def test_a_failed_sync_loses_the_bytes_and_a_later_one_does_not_bring_them_back(tmp_path: Path) -> None:
    """Its pages are clean from then on: the second sync ends well and has stored nothing but the length."""
    program = """
put('a', b'xyz')
sync('.')
for _ in range(2):
    file = os.open('a', os.O_RDWR)
    try:
        os.fsync(file)
    except OSError:
        os.rename('a', 'b')  # where syncs do not fail
        sync('.')
    os.close(file)
    file = None
os.rename('b', 'c'); sync('c'); sync('.')
"""
    disk = run(program.replace("for _ in range(2)", "for _ in range(1)"), tmp_path, of="/a")
    assert strict(disk) == {"c": b"\0\0\0"}
    assert disk.image(Image.WHOLE, random.Random(0)) == {"c": b"xyz"}


def test_what_is_written_after_a_failed_sync_is_synced_again(tmp_path: Path) -> None:
    """Only the pages that were dirty then are given up."""
    program = """
put('a', b'xyz')
try: sync('a')
except OSError: pass
put('a', b'Y', 1)
os.rename('a', 'b'); sync('b'); sync('.')
"""
    assert strict(run(program, tmp_path, of="/a")) == {"b": b"\0Y\0"}


@pytest.mark.parametrize(("later", "left"), [("", {"b": b""}), ("sync('b')", {"b": b"\0\0\0", "b\0user.m": b"1"})])
def test_a_failed_sync_does_not_lose_an_attribute(tmp_path: Path, later: str, left: Tree) -> None:
    """It is no page that is called clean: like the length, it waits for a sync that ends well."""
    program = """
put('a', b'xyz'); mark('a', b'1')
try: sync('a')
except OSError: pass
os.rename('a', 'b'); sync('.')
"""
    assert strict(run(program + later, tmp_path, of="/a")) == left


def test_luck_keeps_or_loses_each_sector_for_itself(tmp_path: Path) -> None:
    """Unsynced bytes are there, zero, or what was there before, and never anything else."""
    disk = run("put('a', b'o' * 16384, sync=True); sync('.'); put('a', b'n' * 32768)", tmp_path)
    seen = set()
    for seed in range(200):
        kind = Image.SHUFFLED if seed % 2 else Image.JOURNAL
        content = disk.image(kind, random.Random(seed))["a"]
        assert not isinstance(content, dict)
        assert len(content) in (16384, 32768)
        assert set(content[:16384]) <= set(b"on")
        assert set(content[16384:]) <= set(b"n\0")
        seen.add(bytes(content[512::4096]))
    assert len(seen) > 20


def test_luck_keeps_or_loses_each_change_of_an_attribute(tmp_path: Path) -> None:
    """The synced value, or a later one: in order where there is a journal, each for itself where there is none."""
    disk = run(MARKED + "mark('a', b'2'); os.setxattr('a', 'user.n', b'3'); os.removexattr('a', 'user.m')", tmp_path)
    seen: dict[Image, set[tuple[object, object]]] = {Image.JOURNAL: set(), Image.SHUFFLED: set()}
    for seed in range(200):
        for kind, found in seen.items():
            tree = disk.image(kind, random.Random(seed))
            found.add((tree.get("a\0user.m"), tree.get("a\0user.n")))
    assert seen[Image.JOURNAL] == {(b"1", None), (b"2", None), (b"2", b"3"), (None, b"3")}
    assert seen[Image.SHUFFLED] == {(value, other) for value in (b"1", b"2", None) for other in (None, b"3")}


def test_luck_never_loses_a_moved_file_between_two_folders(tmp_path: Path) -> None:
    """Real file systems move in one step; only what was synced says otherwise."""
    disk = run(MOVE + "os.mkdir('q/r'); os.rename('q/a', 'q/r/a')", tmp_path)
    places = set()
    for seed in range(200):
        tree = disk.image(Image.SHUFFLED if seed % 2 else Image.JOURNAL, random.Random(seed))
        found = [path for path in ("p/a", "q/a", "q/r/a") if is_there(tree, path)]
        assert len(found) == 1, f"{seed}: {tree}"
        places.update(found)
    assert places == {"p/a", "q/a", "q/r/a"}


def is_there(tree: Tree, path: str) -> bool:
    """Whether there is a file of this name."""
    node: bytes | bytearray | Tree | None = tree
    for part in path.split("/"):
        node = node.get(part) if isinstance(node, dict) else None
    return node is not None


@pytest.mark.parametrize(
    "program",
    [
        "os.symlink('a', 'b')",
        "put('a', b'xyz'); file = os.open('a', os.O_RDWR); mmap.mmap(file, 3)[0] = 1",
        "os.mkdir('d'); os.setxattr('d', 'user.m', b'1')",
        "os.setxattr(os.open('.', os.O_RDONLY), 'user.m', b'1')",
    ],
)
def test_what_the_shim_cannot_follow_voids_the_run(tmp_path: Path, program: str) -> None:
    """A model that silently misses something proves nothing."""
    with pytest.raises(AssertionError, match="cannot follow"):
        run(program, tmp_path)


def test_everything_python_can_write_with_is_seen(tmp_path: Path) -> None:
    """Every way of writing ends up in the log, with the right bytes at the right place."""
    program = """
with open('a', 'wb') as stream: stream.write(b'0123456789')
with open('a', 'ab', buffering=0) as stream: stream.write(b'ab')
with open('a', 'r+b', buffering=0) as stream: stream.seek(2); stream.write(b'C'); stream.truncate(11)
file = os.open('b', os.O_RDWR | os.O_CREAT)
os.writev(file, [b'x', b'yz']); os.pwritev(file, [b'1', b'2'], 1); os.posix_fallocate(file, 0, 6)
source = os.open('a', os.O_RDONLY)
os.copy_file_range(source, file, 4, 2, 6)
there = os.dup(file); os.close(file); os.pwrite(there, b'!', 0)
folder = os.open('.', os.O_RDONLY)
os.mkdir('d', dir_fd=folder); os.rename('b', 'd/b', src_dir_fd=folder, dst_dir_fd=folder)
os.link('a', 'd/a'); os.unlink('a', dir_fd=folder); os.mkdir('e'); os.rmdir('e')
"""
    disk = run(program, tmp_path)  # compares the model with the folder
    assert disk.image(Image.WHOLE, random.Random(0)) == {"d": {"a": b"01C3456789a", "b": b"!12\0\0\0C345"}}
