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
from tests.support.uploading import id_of

BAD_DISK: Final = str(Path(__file__).with_name("bad_disk.py"))
SAMPLE: Final = 6  # finished uploads that are downloaded again after each start
GONE: Final = 40  # deleted uploads that are asked for again
SPARE: Final = 24  # descriptors that an idle server may have open beyond those of its start: the database's, a pool's
DAY: Final = 86_400  # seconds
_OURS: Final = r"state\.db(-wal|-shm)?|\w+\.toml|moved|lock|\w+\.lock"
_OWN: Final = re.compile(rf"uploads/[a-z2-7]{{26}}|files/([a-z2-7]{{2}})/\1[a-z2-7]{{24}}|{_OURS}")
_OWN_WITHOUT_BYTES: Final = re.compile(_OURS)
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
    own = _OWN if scene.place.readable else _OWN_WITHOUT_BYTES
    for folder, _, names in os.walk(scene.data):
        for name in names:
            path = str((Path(folder) / name).relative_to(scene.data))
            if not own.fullmatch(path):
                raise scene.ledger.broken(f"a file of a foreign name lies in the data folder: {path}")


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
            scene.place.check_prefix(scene, upload)
    for flight, reach in consumed.items():
        offset = found.get(flight.upload)
        if offset is not None:
            scene.figures.measure("again, read", max(0, reach - offset))
            if reach - offset > scene.place.again:
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
    """What the server has open, beside its connections to a store."""
    store = scene.place.connections()
    folder = Path(f"/proc/{scene.server.pid}/fd")
    found = []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(folder / name))
        except FileNotFoundError:
            continue
    return [name for name in found if name not in store]


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


def check_end(scene: Scene) -> None:
    """After the server has stopped: everything can be read back, and after the reaper nothing is left but what is
    finished."""
    doctor = _ferryman(scene, "doctor", "--verify", ahead=0)
    if not re.search(r"^ok +read back", doctor.stdout, re.MULTILINE):  # other findings are about this machine
        raise scene.ledger.broken(f"ferryman doctor --verify says:\n{doctor.stdout}{doctor.stderr}")
    before = scene.place.unfinished()
    said = ""
    for days in (2, 4):  # first everything expires and is freed, then its row is forgotten
        gc = _ferryman(scene, "gc", "--upload-ttl", "1s", ahead=days * DAY)
        if gc.returncode:
            raise scene.ledger.broken(f"ferryman gc ends with {gc.returncode}:\n{gc.stdout}{gc.stderr}")
        said += gc.stdout
    check_folder(scene)
    rows, kept = _rows(scene.data), scene.place.finished()
    left = scene.place.unfinished() | (kept ^ rows.keys()) | {name for name in rows if rows[name] != "complete"}
    scene.figures.count("cleared", len(before))
    scene.figures.count("left over", len(left))
    if left:
        what = [(name, rows.get(name)) for name in sorted(left)]
        raise scene.ledger.broken(f"left over after the reaper: {what}; it said:\n{said}")
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


def _ferryman(scene: Scene, *words: str, ahead: int) -> "subprocess.CompletedProcess[str]":
    command = [*scene.place.prefix, sys.executable, "-P", BAD_DISK, *words, "--data", str(scene.server.data)]
    env: dict[str, Any] = {**os.environ, **scene.place.env, "BAD_DISK": "", "CLOCK_AHEAD": str(ahead)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=scene.server.data.parent)


def _rows(data: Path) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:  # a copy: SQLite would not find its way into another's mounts
        copy = shutil.copy(data / "state.db", folder)
        connection = sqlite3.connect(copy)
        try:
            return dict(connection.execute("SELECT id, phase FROM uploads").fetchall())
        finally:
            connection.close()
