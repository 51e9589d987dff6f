"""A server without I/O around the protocol core: it keeps uploads on a shelf, and bodies are mere numbers of bytes.

It takes the same steps as the real one – recognise, read, admit, store, move, answer – so that whole lives of uploads
can be tried against the core in microseconds. Every change of an upload goes through :func:`transitions.advance`.
"""

from dataclasses import dataclass, field

from ferryman_protocol.commands import Admission, Append, Create, Inspect, Terminate
from ferryman_protocol.dialect import Dialect
from ferryman_protocol.headers import Headers
from ferryman_protocol.ids import new_id
from ferryman_protocol.model import Interim, Limits, Phase, Reply, Request, Upload
from ferryman_protocol.negotiate import fallback, recognise
from ferryman_protocol.problems import DISCONNECTED, Overrun, Refused
from ferryman_protocol.refusals import gone, not_found, overrun, refusal, short_of_length
from ferryman_protocol.transitions import Changes, advance

NOW = 1_700_000_000.0  # seconds since the epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """What a client sends: `size` bytes, of which `arrives` come before the connection breaks."""

    size: int = 0
    arrives: int = 0
    chunked: bool = False  # the size is not said beforehand

    @property
    def cut(self) -> bool:
        """Whether the connection broke."""
        return self.arrives < self.size


@dataclass(kw_only=True)
class Shelf:
    """All the uploads."""

    limits: Limits
    uploads: dict[str, Upload] = field(default_factory=dict)
    publishes: bool = True  # False: what has all its bytes stays in FINISHING for now
    announced: Interim | None = None  # the 104 that told the newest upload's URL

    def ask(self, method: str, upload_id: str | None, fields: dict[str, str], body: Body) -> Reply:
        """Answer a request."""
        framing = {"transfer-encoding": "chunked"} if body.chunked else {"content-length": str(body.size)}
        headers = Headers(tuple((name.lower(), value) for name, value in (fields | framing).items()))
        request = Request(method=method, upload_id=upload_id, headers=headers)
        dialect = fallback(request)
        try:
            dialect = recognise(request, self.limits)
            return self._carry_out(request, dialect, body)
        except Refused as refused:
            upload = self.uploads.get(upload_id or "")
            return dialect.refused(refused.problem, upload=upload, limits=self.limits, now=NOW)

    def publish(self) -> None:
        """Publish what waits for it."""
        for upload in self.uploads.values():
            if upload.phase is Phase.FINISHING:
                self._move(upload, Phase.COMPLETE)

    def expire(self, upload_id: str) -> None:
        """The upload's time is over."""
        upload = self.uploads[upload_id]
        if upload.phase in (Phase.EMPTY, Phase.RECEIVING, Phase.INVALID):
            self._move(upload, Phase.EXPIRED)

    def _carry_out(self, request: Request, dialect: Dialect, body: Body) -> Reply:
        limits = self.limits
        match dialect.read(request, limits):
            case Create() as command:
                admission = dialect.admit_create(command, limits)
                upload = self._new(command, admission, dialect)
                self.announced = dialect.announced(upload, location=_url(upload), limits=limits, now=NOW)
                upload = self._store(upload, admission, body, whole=command.content is not None or command.completes)
                return dialect.created(upload, location=_url(upload), limits=limits, now=NOW, carried=body.size > 0)
            case Append() as command:
                upload = self._known(command.upload_id)
                try:
                    admission = dialect.admit_append(command, upload, limits)
                except Overrun:
                    self._move(upload, Phase.INVALID)
                    raise
                if upload.phase is not Phase.COMPLETE:
                    upload = self._store(upload, admission, body, whole=True)
                elif body.size:
                    raise Refused(overrun(admission.overrun, room=0)) if body.arrives else _broken()
                return dialect.appended(upload, location=_url(upload), limits=limits, now=NOW)
            case Inspect() as command:
                return dialect.inspected(self._known(command.upload_id), limits=limits, now=NOW)
            case Terminate() as command:
                upload = self._known(command.upload_id)
                if upload.phase in (Phase.TERMINATED, Phase.EXPIRED):
                    raise Refused(gone(upload))
                self._move(upload, Phase.TERMINATED)
                return dialect.terminated()
            case command:
                raise AssertionError(f"nobody asked for {command}")

    def _known(self, upload_id: str) -> Upload:
        if upload_id not in self.uploads:
            raise Refused(not_found(upload_id))
        return self.uploads[upload_id]

    def _new(self, command: Create, admission: Admission, dialect: Dialect) -> Upload:
        upload = Upload(
            id=new_id(len(self.uploads).to_bytes(16, "big")),
            phase=Phase.EMPTY,
            length=admission.length,
            dialect=dialect.name,
            concat=command.concat,
        )
        self.uploads[upload.id] = upload
        return upload

    def _store(self, upload: Upload, admission: Admission, body: Body, *, whole: bool) -> Upload:
        """Take the body in. What arrived is kept when it breaks off or is refused, but never the byte that would
        complete the upload."""
        room, arrived = admission.room, body.arrives
        if room is not None and arrived > room:
            if admission.overrun_invalidates:
                self._move(upload, Phase.INVALID)
            else:
                self._keep(upload, max(0, room - 1))
            raise Refused(overrun(admission.overrun, room=room))
        if body.cut:
            self._keep(upload, arrived if room is None else min(arrived, max(0, room - 1)))
            raise _broken()
        upload = self._keep(upload, arrived, length=admission.length)
        if admission.completes and whole:
            if upload.length is not None and upload.offset != upload.length:
                raise Refused(short_of_length(offset=upload.offset, length=upload.length))
            upload = self._move(upload, upload.phase, length=upload.offset)
        elif not (admission.finishes_at_length and upload.offset == upload.length):
            return upload
        upload = self._move(upload, Phase.FINISHING)
        return self._move(upload, Phase.COMPLETE) if self.publishes else upload

    def _keep(self, upload: Upload, size: int, *, length: int | None = None) -> Upload:
        phase = Phase.RECEIVING if size else upload.phase
        return self._move(upload, phase, offset=upload.offset + size, length=length)

    def _move(self, upload: Upload, phase: Phase, *, offset: int | None = None, length: int | None = None) -> Upload:
        changes: Changes = {}
        if offset is not None:
            changes["offset"] = offset
        if length is not None:
            changes["length"] = length
        moved = advance(upload, phase, **changes)
        self.uploads[upload.id] = moved
        return moved


def _broken() -> Refused:
    return refusal(DISCONNECTED, "the connection broke")


def _url(upload: Upload) -> str:
    return f"/files/{upload.id}"
