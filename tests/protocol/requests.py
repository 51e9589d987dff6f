"""Hypothesis strategies for whole requests and uploads, and the checks that hold for each of them."""

import base64

from hypothesis import strategies as st

from ferryman_protocol import problems
from ferryman_protocol.commands import Append, Create
from ferryman_protocol.dialect import Dialect
from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Concat, Limits, Phase, Reply, Request, Upload
from ferryman_protocol.problems import Problem, Refused

ID = "ferryferryferryferryferry2"

_latin = st.text(st.characters(max_codepoint=0xFF), max_size=30)
_numbers = st.sampled_from(["0", "5", "100", "007", "+5", "-1", "1_0", "1" + "0" * 15, ""])
_dictionaries = st.sampled_from(["md5=:XUFAKrxLKna5cZ2REBfFkg==:", "md5=:x", "sha-256=3", "a", ""])
_VALUES: dict[str, st.SearchStrategy[str]] = {
    "content-length": _numbers,
    "transfer-encoding": st.just("chunked"),
    "trailer": st.sampled_from(["Upload-Checksum", "x"]),
    "content-type": st.sampled_from(["application/offset+octet-stream", "application/partial-upload", "text/plain"]),
    "content-encoding": st.sampled_from(["gzip", "zstd", "br", "gzip, gzip", "identity"]),
    "content-disposition": st.sampled_from(['inline; filename="a"', "inline; filename*=UTF-8''%c3", ";;="]),
    "content-digest": _dictionaries,
    "repr-digest": _dictionaries,
    "want-repr-digest": _dictionaries,
    "tus-resumable": st.sampled_from(["1.0.0", "1.0.0", "0.2.2"]),
    "x-http-method-override": st.sampled_from(["PATCH", "DELETE", "HEAD", "BREW"]),
    "upload-length": _numbers,
    "upload-offset": _numbers,
    "upload-defer-length": st.sampled_from(["1", "0"]),
    "upload-metadata": st.sampled_from(["", "a YQ==", "filename w6k=", "filetype aW1hZ2UvcG5n", "a", "a !"]),
    "upload-concat": st.sampled_from(["partial", "final;", f"final;/files/{ID}", "final;/files/../x", "junk"]),
    "upload-checksum": st.sampled_from(["sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha1", "sha0 x"]),
    "upload-complete": st.sampled_from(["?0", "?1", "true"]),
    "upload-incomplete": st.sampled_from(["?0", "?1", "true"]),
    "upload-draft-interop-version": st.sampled_from(["3", "4", "5", "6", "7", "8", "9", "10", "11", "x"]),
}
_field = st.sampled_from(sorted(_VALUES)).flatmap(lambda name: st.tuples(st.just(name), _VALUES[name] | _latin))
_methods = st.sampled_from(["POST", "PUT", "PATCH", "HEAD", "GET", "DELETE", "OPTIONS", "BREW"])
_ids = st.sampled_from([None, None, ID, ID, "..", "\x00", "x" * 5000]) | _latin

_size = st.none() | st.integers(0, 1000)
limits: st.SearchStrategy[Limits] = st.builds(
    Limits,
    max_size=_size,
    min_size=st.integers(0, 50),
    max_append_size=_size,
    min_append_size=_size,
    max_age=_size,
    extensions=st.just(Limits().extensions) | st.just(()),
)


def requests(*, tus: bool = False) -> st.SearchStrategy[Request]:
    """Any request; `tus`: most of them carry Tus-Resumable, so that reading goes past the version."""
    first = st.just((("tus-resumable", "1.0.0"),)) if tus else st.just(())
    fields = st.tuples(first | st.just(()), st.lists(_field, max_size=8).map(tuple))
    headers = fields.map(lambda both: Headers((*both[0], *both[1])))
    return st.builds(Request, method=_methods, upload_id=_ids, headers=headers)


def uploads() -> st.SearchStrategy[Upload]:
    """Any upload that reading requests can have made, in any phase."""
    offsets = st.integers(0, 10**15)
    return st.builds(
        Upload,
        id=st.just(ID),
        phase=st.sampled_from(list(Phase)),
        offset=offsets,
        length=st.none() | offsets,
        dialect=st.sampled_from(["tus", "rufh"]),
        metadata=st.none() | st.binary(max_size=20).map(lambda raw: f"name {base64.b64encode(raw).decode()}"),
        concat=st.none() | st.sampled_from(list(Concat)),
        concat_echo=st.sampled_from([None, "partial", f"final;/files/{ID}"]),
        content_encoding=st.sampled_from([None, "gzip", "zstd"]),
        expires_at=st.none() | st.floats(-1e9, 1e12),
        reason=st.none() | st.text(max_size=20),
    )


def read_or_refuse(dialect: Dialect, request: Request, limits: Limits) -> None:
    """Read and admit the request: a command with its admission, or a refusal that can be sent."""
    try:
        command = dialect.read(request, limits)
        if isinstance(command, Create):
            dialect.admit_create(command, limits)
        elif isinstance(command, Append):
            upload = Upload(id=ID, phase=Phase.RECEIVING, offset=command.offset)
            dialect.admit_append(command, upload, limits)
    except Refused as refused:
        check_reply(dialect.refused(refused.problem, upload=None, limits=limits, now=0.0))


def check_answers(dialect: Dialect, upload: Upload, limits: Limits, now: float) -> None:
    """Make every answer there is about this upload and check that it can be sent."""
    location = f"/files/{upload.id}"
    check_reply(dialect.created(upload, location=location, limits=limits, now=now, carried=True))
    check_reply(dialect.appended(upload, location=location, limits=limits, now=now))
    check_reply(dialect.terminated())
    for interim in (
        dialect.announced(upload, location=location, limits=limits, now=now),
        dialect.progressed(upload),
    ):
        if interim is not None:
            check_fields(interim.headers)
    try:
        check_reply(dialect.inspected(upload, limits=limits, now=now))
    except Refused as refused:
        check_reply(dialect.refused(refused.problem, upload=upload, limits=limits, now=now))
    for kind in problems.CATALOGUE.values():
        problem = Problem(kind=kind, detail="é\n…")
        check_reply(dialect.refused(problem, upload=upload, limits=limits, now=now))


def check_reply(reply: Reply) -> None:
    """The status is one, the fields can be sent."""
    assert 200 <= reply.status < 600
    check_fields(reply.headers)


def check_fields(fields: tuple[tuple[str, str], ...]) -> None:
    """Names come once; values are latin-1 without control characters, so no field can end early."""
    names = [name.lower() for name, _ in fields]
    assert len(names) == len(set(names))
    for name, value in fields:
        name.encode("ascii")
        raw = value.encode("latin-1")
        assert all(byte >= 0x20 and byte != 0x7F for byte in raw), (name, value)
