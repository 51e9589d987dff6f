"""What is checked after each step, after each start, and at the end."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.crash import questions
from tests.crash.exchange import Route
from tests.crash.ledger import Flight, Upload
from tests.crash.scene import Scene
from tests.support.uploading import KIB, MIB, id_of, observed, published, receiving

BAD_DISK: Final = str(Path(__file__).with_name("bad_disk.py"))
AGAIN: Final = MIB + 64 * KIB  # bytes that a killed server had read and not kept, at most (DESIGN §11), and a piece
SAMPLE: Final = 6  # finished uploads that are downloaded again after each start
GONE: Final = 40  # deleted uploads that are asked for again
SPARE: Final = 24  # descriptors that an idle server may have open beyond those of its start: the database's, a pool's
DAY: Final = 86_400  # seconds
_OWN: Final = re.compile(
    r"uploads/[a-z2-7]{26}|files/([a-z2-7]{2})/\1[a-z2-7]{24}|state\.db(-wal|-shm)?|\w+\.toml|moved|lock|\w+\.lock"
)
_KEPT_LINES: Final = 300


def check_process(scene: Scene) -> None:
    """The server runs, and says nothing of mistakes in its log."""
    if not scene.server.running:
        scene.figures.count("deaths")
        raise scene.ledger.broken("the server ended by itself:\n" + "\n".join(scene.server.lines[-20:]))
    lines = list(scene.server.lines)
    for line in lines:
        level = json.loads(line).get("level", "") if line.startswith("{") else ""
        if "Traceback" in line or level in ("error", "critical"):
            raise scene.ledger.broken(f"the log says: {line}")
    del scene.server.lines[: max(0, len(lines) - _KEPT_LINES)]


def check_folder(scene: Scene) -> None:
    """The data folder holds nothing but the server's own files."""
    for folder, _, names in os.walk(scene.data):
        for name in names:
            path = str((Path(folder) / name).relative_to(scene.data))
            if not _OWN.fullmatch(path):
                raise scene.ledger.broken(f"a file of a foreign name lies in the data folder: {path}")


def check_prefix(scene: Scene, upload: Upload) -> None:
    """The bytes below the highest offset that was told are in the server's files, and right. Safe at any moment: they
    may never change again."""
    told, sent, path = upload.told, tuple(upload.sent), upload.path
    if path is None or upload.deleting or upload.parts or not told:
        return
    data = _first_bytes(scene, upload, told)
    if data is None:
        return  # it is complete, or on its way between two folders: a download will tell
    if len(data) < told == upload.length == observed(scene.server, path):
        return  # it is complete, and not in its file yet: a download will tell
    scene.figures.count("prefix checks")
    if len(data) < told:
        raise scene.ledger.broken(f"{told} bytes were told to be safe, the file has {len(data)}", upload)
    if scene.tints.explain(data, sent) is None:
        raise scene.ledger.broken(f"the first {told} bytes of its file are not what was sent", upload)


def _first_bytes(scene: Scene, upload: Upload, size: int) -> bytes | None:
    assert upload.path is not None
    for _ in range(3):
        for find in (receiving, published):
            try:
                with find(scene.data, upload.path).open("rb") as stream:
                    return stream.read(size)
            except FileNotFoundError:
                continue
        if upload.deleting or observed(scene.server, upload.path) == upload.length:
            return None
    raise scene.ledger.broken(f"{size} bytes were told to be safe, and there is no file", upload)


def check_start(scene: Scene, consumed: dict[Flight, int]) -> None:
    """Just after a start, with nobody else asking: every unfinished upload has what was told, and bytes that are right;
    what was deleted stays so, what was finished too. `consumed`: up to which offset the server had read a request's
    bytes from its socket when it was killed."""
    uploads = list(scene.ledger.uploads)
    route = Route(scene.server.port)
    found: dict[Upload, int | None] = {}
    for upload in uploads:
        if upload.open and not upload.parts:
            found[upload] = questions.look(scene, upload, route)
            scene.figures.count("offset checks")
            check_prefix(scene, upload)
    for flight, reach in consumed.items():
        offset = found.get(flight.upload)
        if offset is not None:
            scene.figures.measure("again, read", max(0, reach - offset))
            if reach - offset > AGAIN:
                what = f"{reach - offset} bytes that the killed server had read are to be sent again"
                raise scene.ledger.broken(what, flight.upload)
    finished = [upload for upload in uploads if upload.digest is not None and not upload.deleting]
    for upload in finished[-SAMPLE:]:
        questions.look(scene, upload, route)
        questions.reread(scene, upload)
    for upload in [upload for upload in uploads if upload.deleted and upload.known][-GONE:]:
        questions.look(scene, upload, route)


def check_finished(scene: Scene) -> None:
    """Every finished upload can be downloaded and is what it was."""
    for upload in scene.ledger.uploads:
        if upload.digest is not None and not upload.deleting:
            questions.verify(scene, upload)


def descriptors(scene: Scene) -> list[str]:
    """What the server has open."""
    folder = Path(f"/proc/{scene.server.pid}/fd")
    found = []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(folder / name))
        except FileNotFoundError:
            continue
    return found


def check_descriptors(scene: Scene, base: list[str], patience: float = 10.0) -> None:
    """With nobody asking and no connection left, the server lets go of every upload's file and every socket."""
    deadline = time.monotonic() + patience
    while excess := _excess(descriptors(scene), base):
        if time.monotonic() > deadline:
            raise scene.ledger.broken(f"descriptors stay open in an idle server: {excess}")
        time.sleep(0.05)


def _excess(found: list[str], base: list[str]) -> list[str]:
    files = [name for name in found if re.search(r"/(uploads|files)/\w\w/\w{26}", name)]
    sockets = [name for name in found if name.startswith("socket:")]
    allowed = sum(name.startswith("socket:") for name in base)
    return files or sockets[allowed:] or (found if len(found) > len(base) + SPARE else [])


# -- the end ---------------------------------------------------------------------------------------------------------


def check_end(scene: Scene, prefix: tuple[str, ...]) -> None:
    """After the server has stopped: everything can be read back, and after the reaper nothing is left but what is
    finished."""
    doctor = _ferryman(scene, prefix, "doctor", "--verify", ahead=0)
    if not re.search(r"^ok +read back", doctor.stdout, re.MULTILINE):  # other findings are about this machine
        raise scene.ledger.broken(f"ferryman doctor --verify says:\n{doctor.stdout}{doctor.stderr}")
    before = _files(scene.data, "uploads")
    for days in (2, 4):  # first everything expires and is freed, then its row is forgotten
        gc = _ferryman(scene, prefix, "gc", "--upload-ttl", "1s", ahead=days * DAY)
        if gc.returncode:
            raise scene.ledger.broken(f"ferryman gc ends with {gc.returncode}:\n{gc.stdout}{gc.stderr}")
    check_folder(scene)
    rows, kept = _rows(scene.data), _files(scene.data, "files")
    left = _files(scene.data, "uploads") | (kept ^ rows.keys()) | {name for name in rows if rows[name] != "complete"}
    scene.figures.count("cleared", len(before))
    scene.figures.count("left over", len(left))
    if left:
        raise scene.ledger.broken(f"left over after the reaper: {[(name, rows.get(name)) for name in sorted(left)]}")
    known = [upload for upload in scene.ledger.uploads if upload.complete and not (upload.deleting or upload.partial)]
    for upload in known:
        if id_of(upload.path or "") not in rows:
            raise scene.ledger.broken("it was finished, and the reaper has cleared it away", upload)
    lost = sum(not upload.known for upload in scene.ledger.uploads)  # their creation was never answered
    open_ = sum(upload.open for upload in scene.ledger.uploads)  # left by their client, perhaps just before the end
    if len(rows) > len(known) + lost + open_:
        raise scene.ledger.broken(
            f"{len(rows)} uploads are there, {len(known)} were finished and {lost} never answered"
        )


def _ferryman(scene: Scene, prefix: tuple[str, ...], *words: str, ahead: int) -> "subprocess.CompletedProcess[str]":
    command = [*prefix, sys.executable, "-P", BAD_DISK, *words, "--data", str(scene.server.data)]
    env: dict[str, Any] = {**os.environ, "CLOCK_AHEAD": str(ahead)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=scene.server.data.parent)


def _rows(data: Path) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:  # a copy: SQLite would not find its way into another's mounts
        copy = shutil.copy(data / "state.db", folder)
        connection = sqlite3.connect(copy)
        try:
            return dict(connection.execute("SELECT id, phase FROM uploads").fetchall())
        finally:
            connection.close()


def _files(data: Path, folder: str) -> set[str]:
    return {file.name for file in (data / folder).rglob("*") if file.is_file()}
