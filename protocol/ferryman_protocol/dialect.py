"""The seam between the two protocols and the server: one object with the same methods for each.

The server recognises the dialect of a request (:func:`ferryman_protocol.negotiate.recognise`), lets it read the
request into a command, asks it to admit the command against the upload as it stands, moves the bytes, and lets it
write the answer. Every method is pure: same input, same answer. A refusal is raised as
:class:`ferryman_protocol.problems.Refused` and turned into an answer by :meth:`Dialect.refused`.
"""

from typing import Protocol

from ferryman_protocol.commands import Admission, Append, Command, Create
from ferryman_protocol.model import Interim, Limits, Reply, Request, Upload
from ferryman_protocol.problems import Problem


class Dialect(Protocol):
    """One protocol (and version) as the server uses it."""

    @property
    def name(self) -> str:
        """`tus` or `rufh`."""

    @property
    def interop(self) -> int | None:
        """The `Upload-Draft-Interop-Version` the request carried, when we speak it (104 needs it, R27)."""

    def read(self, request: Request, limits: Limits) -> Command:
        """Read the header fields into a command; raises Refused."""

    def admit_create(self, command: Create, limits: Limits) -> Admission:
        """How many bytes the creation's body may bring; raises Refused (413, 400…) before anything is stored.

        The admission's `length` is the one to record. A chunked body that brings more than `room` is refused with
        `admission.overrun`; one that `completes` short of `length` with `refusals.short_of_length`.
        """

    def admit_append(self, command: Append, upload: Upload, limits: Limits) -> Admission:
        """Check the append against the upload as committed; raises Refused (409, 403, 410, 413, 400…).

        Raises :class:`ferryman_protocol.problems.Overrun` (a Refused) where the caller must make the upload INVALID
        before answering. A repetition of the append that completed an upload is admitted with room 0: answer it with
        `appended` again. For a phase FINISHING it is refused with 503: wait first, then ask.
        """

    def created(self, upload: Upload, *, location: str, limits: Limits, now: float, carried: bool) -> Reply:
        """Answer a creation. `carried`: the request brought a body, so its offset is told."""

    def appended(self, upload: Upload, *, location: str, limits: Limits, now: float) -> Reply:
        """Answer an append whose body has been stored whole."""

    def inspected(self, upload: Upload, *, limits: Limits, now: float) -> Reply:
        """Answer HEAD; raises Refused for an upload that is gone, failed or invalid (410), or being finished (503).

        Status 200 for a complete upload in the IETF protocol: the caller adds the file's own fields (Content-Length…).
        """

    def terminated(self) -> Reply:
        """Answer a DELETE that was carried out."""

    def refused(self, problem: Problem, *, upload: Upload | None, limits: Limits, now: float) -> Reply:
        """Turn a refusal into an answer, with every field this dialect owes (offset on 409, limits on 413…)."""

    def announced(self, upload: Upload, *, location: str, limits: Limits, now: float) -> Interim | None:
        """The 104 that tells a new upload's URL (R9, R27), or None where this dialect or version has none."""

    def progressed(self, upload: Upload) -> Interim | None:
        """The 104 that tells a committed offset (R10, R20), or None."""
