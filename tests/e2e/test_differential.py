"""tuspyserver beside us: the same tus conversations with both, and the same statuses and offsets from both.

Every conversation is valid tus, or is refused by both. Where the other server answers differently, the step says why:
the list of these reasons is the list of our known differences, and a difference that disappears is noticed as well.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.support.process import Server, serving
from tests.support.raw_http import RawClient, RawResponse, chunked, head
from tests.support.rival import rival
from tests.support.uploading import content

SEED = 3107
# A HEAD there fails unless the metadata hold both of these keys.
METADATA = ("Upload-Metadata", "filename Zm9vLmJpbg==,filetype YXBwbGljYXRpb24vb2N0ZXQtc3RyZWFt")
TUS = ("Tus-Resumable", "1.0.0")
STREAM = ("Content-Type", "application/offset+octet-stream")
WHOLE = content(1000, SEED)

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One request. `differs`: why the other server's answer is another one."""

    method: str
    name: str = ""  # which upload; empty: the collection, where the upload that is created gets the name `saves`
    fields: Fields = (TUS,)
    body: bytes = b""
    chunks: bool = False
    saves: str = ""
    differs: str = ""


@dataclass
class Talker:
    """One of the two servers, and the uploads made there."""

    port: int
    folder: Path | None = None  # where the files are to be looked at: tuspyserver has no downloads
    paths: dict[str, str] = field(default_factory=dict)

    def take(self, step: Step) -> RawResponse:
        """Send one request; remember the upload that it created."""
        if step.method == "GET" and self.folder is not None:
            file = self.folder / self.paths[step.name].rpartition("/")[2]
            return RawResponse(status=200, headers={}, body=file.read_bytes())
        target = self.paths[step.name] if step.name else "/files/"
        fields = [f"{name}: {value.format_map(self.paths)}" for name, value in step.fields]
        framing = "Transfer-Encoding: chunked" if step.chunks else f"Content-Length: {len(step.body)}"
        with RawClient(self.port) as client:
            client.send(head(step.method, target, *fields, framing))
            client.send(chunked(step.body) if step.chunks else step.body)
            answer = client.response(to_head=step.method == "HEAD")
        if step.saves:
            self.paths[step.saves] = "/" + answer.headers["location"].split("://")[-1].partition("/")[2]
        return answer


def told(answer: RawResponse, step: Step) -> tuple[object, ...]:
    """What both servers have to agree on: status and offset, of HEAD the length too, of GET the bytes.

    With a refusal only the status counts: we tell the offset that is right together with 409, tuspyserver does not.
    """
    if answer.status >= 400:
        return (answer.status,)
    names = ("upload-offset", "upload-length", "upload-defer-length") if step.method == "HEAD" else ("upload-offset",)
    facts = tuple(answer.headers.get(name) for name in names)
    return (answer.status, *facts, answer.body if step.method == "GET" else b"")


def create(
    length: int | None, *fields: tuple[str, str], body: bytes = b"", saves: str = "it", differs: str = ""
) -> Step:
    """A creation."""
    size = ("Upload-Defer-Length", "1") if length is None else ("Upload-Length", str(length))
    stream = (STREAM,) if body else ()
    return Step(method="POST", fields=(TUS, size, METADATA, *stream, *fields), body=body, saves=saves, differs=differs)


def append(
    offset: int, stop: int, *fields: tuple[str, str], name: str = "it", chunks: bool = False, differs: str = ""
) -> Step:
    """A PATCH with the bytes [offset, stop) of the whole."""
    own = (TUS, STREAM, ("Upload-Offset", str(offset)), *fields)
    return Step(method="PATCH", name=name, fields=own, body=WHOLE[offset:stop], chunks=chunks, differs=differs)


look = partial(Step, method="HEAD", name="it")
fetch = partial(Step, method="GET", name="it", fields=())
remove = partial(Step, method="DELETE", name="it")

KEEPS_REFUSED = "tuspyserver stores the body before it looks at the fields, and its offset moves"
CONVERSATIONS: dict[str, tuple[Step, ...]] = {
    "an announcement": (Step(method="OPTIONS", fields=()),),
    "one PATCH": (create(1000), look(), append(0, 1000), look(), fetch()),
    "many PATCHes": (
        create(1000),
        *(step for start in range(0, 1000, 250) for step in (append(start, start + 250), look())),
        fetch(),
    ),
    "a wrong offset": (create(1000), append(0, 400), append(300, 1000), look(), append(400, 1000), fetch()),
    "the empty PATCH": (create(1000), append(0, 0), append(0, 500), append(500, 500), look()),
    "creation with upload": (create(1000, body=WHOLE[:300]), look(), append(300, 1000), fetch()),
    "a deferred length": (
        create(None),
        look(),
        append(0, 300),
        append(300, 600, ("Upload-Length", "1000")),
        look(),
        append(600, 1000),
        fetch(),
    ),
    "the end of an upload": (
        create(1000),
        append(0, 500),
        remove(),
        look(differs="we tell that it was here once (410), tuspyserver that it is not (404); tus allows both"),
        append(500, 1000, differs="the same"),
    ),
    "an empty file": (create(0), look(), fetch()),
    "two uploads at once": (
        create(1000, saves="one"),
        create(1000, saves="two"),
        append(0, 500, name="one"),
        append(0, 1000, name="two"),
        append(500, 1000, name="one"),
        look(name="one"),
        fetch(name="two"),
    ),
    "the method override": (
        create(1000),
        Step(
            method="POST",
            name="it",
            fields=(TUS, STREAM, ("Upload-Offset", "0"), ("X-HTTP-Method-Override", "PATCH")),
            body=WHOLE,
        ),
        look(),
    ),
    "a concatenation": (
        create(400, ("Upload-Concat", "partial"), saves="one"),
        create(600, ("Upload-Concat", "partial"), saves="two"),
        append(0, 400, name="one"),
        Step(method="PATCH", name="two", fields=(TUS, STREAM, ("Upload-Offset", "0")), body=WHOLE[400:]),
    ),
    "a chunked PATCH": (
        create(1000),
        append(
            0, 1000, chunks=True, differs="tuspyserver asks for a Content-Length (422), after it has stored the bytes"
        ),
    ),
    "another version": (
        create(1000),
        Step(
            method="PATCH", name="it", fields=(("Tus-Resumable", "0.2.2"), STREAM, ("Upload-Offset", "0")), body=WHOLE
        ),
        look(differs=KEEPS_REFUSED),
    ),
    "another content type": (
        create(1000),
        Step(
            method="PATCH", name="it", fields=(TUS, ("Content-Type", "text/plain"), ("Upload-Offset", "0")), body=WHOLE
        ),
        look(differs=KEEPS_REFUSED),
    ),
    "more than the length": (
        create(500),
        append(0, 1000, differs="413 says what is wrong; tuspyserver answers 400 and leaves the bytes in the file"),
        look(),
    ),
    "no length": (
        Step(method="POST", fields=(TUS, METADATA), differs="tuspyserver makes an upload that cannot be looked at"),
    ),
    "a negative length": (
        Step(method="POST", fields=(TUS, METADATA, ("Upload-Length", "-1")), differs="tuspyserver creates it"),
    ),
    "a wrong checksum": (
        create(1000),
        append(
            0,
            1000,
            ("Upload-Checksum", "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            differs="tuspyserver does not have the extension, and ignores the field",
        ),
    ),
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Our server."""
    with serving(tmp_path_factory.mktemp("ours") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of theirs, and the folder where it keeps its files."""
    folder = tmp_path_factory.mktemp("theirs")
    with rival(folder) as port:
        yield port, folder


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(ours: Server, theirs: tuple[int, Path], name: str) -> None:
    """Both say the same, except where the step says why not."""
    us, them = Talker(ours.port), Talker(*theirs)
    for number, step in enumerate(CONVERSATIONS[name], 1):
        mine, other = told(us.take(step), step), told(them.take(step), step)
        if step.differs:
            assert mine != other, f"step {number}: they agree now, although: {step.differs}"
        else:
            assert mine == other, f"step {number}: {step.method}"


def test_random_uploads(ours: Server, theirs: tuple[int, Path]) -> None:
    """An upload in pieces of any size, with wrong offsets and looks in between, goes the same way with both."""
    chance = random.Random(SEED)
    for _ in range(10):
        us, them = Talker(ours.port), Talker(*theirs)
        steps, offset = [create(1000)], 0
        while offset < 1000:
            stop = chance.randint(offset, 1000)
            wrong = chance.choice([place for place in (0, offset // 2, offset + 1) if place != offset])
            steps += [append(wrong, max(stop, wrong)), look(), append(offset, stop)]
            offset = stop
        for step in (*steps, look(), fetch()):
            mine, other = told(us.take(step), step), told(them.take(step), step)
            assert mine == other, f"seed {SEED}: {step.method} {step.fields}"
