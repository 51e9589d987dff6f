"""Resumable Uploads for HTTP (IETF draft) as a :class:`ferryman_protocol.dialect.Dialect`.

Reading is in :mod:`ferryman_protocol.rufh_read`, judging in :mod:`ferryman_protocol.rufh_admit`, answering in
:mod:`ferryman_protocol.rufh_answer`; what the interop versions differ in is the table of
:mod:`ferryman_protocol.rufh_versions`.
"""

from dataclasses import dataclass
from typing import Literal

from ferryman_protocol import rufh_admit, rufh_answer, rufh_read
from ferryman_protocol.commands import Admission, Append, Command, Create
from ferryman_protocol.model import Interim, Limits, Reply, Request, Upload
from ferryman_protocol.problems import Problem
from ferryman_protocol.rufh_versions import NEWEST, VERSIONS, Version


@dataclass(frozen=True, slots=True)
class Rufh:
    """One interop version, or (None) clients of the final RFC, which name none and get no 104."""

    interop: int | None

    def __post_init__(self) -> None:
        if self.interop is not None and self.interop not in VERSIONS:
            raise ValueError(f"interop version {self.interop} is not one of {', '.join(map(str, VERSIONS))}")

    @property
    def name(self) -> Literal["rufh"]:
        """The protocol's name, as uploads record it."""
        return "rufh"

    @property
    def version(self) -> Version:
        """What this version asks for."""
        return NEWEST if self.interop is None else VERSIONS[self.interop]

    def read(self, request: Request, limits: Limits) -> Command:
        """Read the header fields into a command; raises Refused."""
        return rufh_read.read(request, self.version, draft=self.interop is not None)

    def admit_create(self, command: Create, limits: Limits) -> Admission:
        """How many bytes the creation's body may bring; raises Refused."""
        return rufh_admit.admit_create(command, limits)

    def admit_append(self, command: Append, upload: Upload, limits: Limits) -> Admission:
        """Check the append against the upload; raises Refused, or Overrun: then make the upload INVALID first."""
        return rufh_admit.admit_append(command, upload, limits)

    def created(self, upload: Upload, *, location: str, limits: Limits, now: float, carried: bool) -> Reply:
        """Answer a creation (201); the offset is told whether or not a body came."""
        return rufh_answer.created(upload, self.version, location=location, limits=limits, now=now)

    def appended(self, upload: Upload, *, location: str, limits: Limits, now: float) -> Reply:
        """Answer an append whose body has been stored whole."""
        return rufh_answer.appended(upload, self.version, location=location, limits=limits, now=now)

    def inspected(self, upload: Upload, *, limits: Limits, now: float) -> Reply:
        """Answer HEAD: 204, or 200 for a complete upload (to which the server adds the file's own fields)."""
        return rufh_answer.inspected(upload, self.version, limits=limits, now=now)

    def terminated(self) -> Reply:
        """Answer a DELETE that was carried out."""
        return Reply(status=204)

    def refused(self, problem: Problem, *, upload: Upload | None, limits: Limits, now: float) -> Reply:
        """Turn a refusal into an answer."""
        return rufh_answer.refused(problem, self.version, upload=upload, limits=limits, now=now)

    def announced(self, upload: Upload, *, location: str, limits: Limits, now: float) -> Interim | None:
        """The 104 with the new upload's URL; None when the client named no version we speak (R27)."""
        if self.interop is None:
            return None
        return rufh_answer.announced(upload, self.version, location=location, limits=limits, now=now)

    def progressed(self, upload: Upload) -> Interim | None:
        """The 104 with a committed offset; None when the client named no version we speak, or one without it."""
        return None if self.interop is None else rufh_answer.progressed(upload, self.version)
