"""Which moves an upload may make: one table, read by :func:`advance` and by the diagram in docs/reference/states.md.

Rules that hold for every move, and for staying in a phase:

- An offset never decreases (R2: what was acknowledged is never sent again), but for a tus upload whose bytes somebody
  else deleted in the store: its protocol has no such rule, and a client that asks can go on. An IETF one has failed.
- A length, once known, never changes (R4 and R5; tus: "Once set the length MUST NOT be changed").
- `expired` and `terminated` are the end: nothing leaves them.
- `complete` was told to the client and its bytes can be read: it never turns into a failure. It can be terminated.
- A complete upload expires only as a partial one of a concatenation; partial uploads live until their time is over.
- `finishing` does not expire: its bytes are all there, and it ends as `complete` or `failed` in any case.
"""

from typing import Final, TypedDict, Unpack

from ferryman_protocol.frozen import dataclass, replace
from ferryman_protocol.model import Concat, Phase, Upload


class IllegalMove(Exception):
    """A change the table or its rules forbid: a fault of the server, since requests are judged before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One legal move and what causes it."""

    source: Phase
    target: Phase
    cause: str


class Changes(TypedDict, total=False):
    """What may change in an upload together with its phase; the meanings are those of Upload's own fields."""

    offset: int
    length: int | None
    content_type: str | None
    content_encoding: str | None
    filename: str | None
    expires_at: float | None
    reason: str | None


def _moves(target: Phase, cause: str, *sources: Phase) -> tuple[Move, ...]:
    return tuple(Move(source=source, target=target, cause=cause) for source in sources)


# A final upload whose partial uploads are all complete starts in `finishing`.
STARTS: Final = (Phase.EMPTY, Phase.WAITING, Phase.FINISHING)

MOVES: Final = (
    *_moves(Phase.RECEIVING, "first bytes stored", Phase.EMPTY),
    *_moves(Phase.FINISHING, "all bytes stored", Phase.EMPTY, Phase.RECEIVING),
    *_moves(Phase.FINISHING, "partial uploads complete", Phase.WAITING),
    *_moves(Phase.COMPLETE, "published", Phase.FINISHING),
    *_moves(Phase.FAILED, "given up, with a reason", Phase.RECEIVING, Phase.FINISHING, Phase.WAITING),
    *_moves(Phase.INVALID, "more bytes than its length", Phase.EMPTY, Phase.RECEIVING),
    *_moves(Phase.EXPIRED, "time over", Phase.EMPTY, Phase.RECEIVING, Phase.WAITING, Phase.FAILED, Phase.INVALID),
    *_moves(Phase.EXPIRED, "time over, partial uploads only", Phase.COMPLETE),
    *_moves(Phase.TERMINATED, "deleted", Phase.EMPTY, Phase.RECEIVING, Phase.WAITING, Phase.FINISHING),
    *_moves(Phase.TERMINATED, "deleted", Phase.COMPLETE, Phase.FAILED, Phase.INVALID),
)

# Not for :func:`advance`: see :func:`begun_again`.
LOSSES: Final = _moves(Phase.EMPTY, "its bytes were deleted in the store (tus)", Phase.RECEIVING, Phase.FINISHING)

_LEGAL: Final = frozenset((move.source, move.target) for move in MOVES)


def is_legal(source: Phase, target: Phase) -> bool:
    """Whether the table allows the move; staying is always allowed."""
    return source is target or (source, target) in _LEGAL


def advance(upload: Upload, phase: Phase, *, through: Phase | None = None, **changes: Unpack[Changes]) -> Upload:
    """The upload in its new phase with these changes. Raises IllegalMove; commit the result before telling anyone.

    `through`: a phase in which there is nothing to do, so that one commit makes both moves.
    """
    here = upload.phase
    for target in (phase,) if through is None else (through, phase):
        if not is_legal(here, target):
            raise IllegalMove(f"upload {upload.id}: {here} may not become {target}")
        here = target
    if phase is Phase.EXPIRED and upload.phase is Phase.COMPLETE and upload.concat is not Concat.PARTIAL:
        raise IllegalMove(f"upload {upload.id}: it is complete and no partial upload, so it does not expire")
    advanced = replace(upload, phase=phase, **changes)
    if advanced.offset < upload.offset:
        raise IllegalMove(f"upload {upload.id}: its offset may not go back from {upload.offset} to {advanced.offset}")
    if upload.length is not None and advanced.length != upload.length:
        raise IllegalMove(f"upload {upload.id}: its length is {upload.length} and may not become {advanced.length}")
    return advanced


def begun_again(upload: Upload) -> Upload:
    """A tus upload whose bytes somebody else deleted in the store: empty again. Raises IllegalMove for any other."""
    if upload.dialect != "tus" or upload.phase not in (Phase.EMPTY, *(move.source for move in LOSSES)):
        raise IllegalMove(f"upload {upload.id}: it is {upload.phase} by {upload.dialect} and may not begin again")
    return replace(upload, phase=Phase.EMPTY, offset=0)


def mermaid() -> str:
    """The table as a Mermaid state diagram, one line a move, ended by a line break."""
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {phase}" for phase in STARTS]
    lines += [f"    {move.source} --> {move.target}: {move.cause}" for move in (*MOVES, *LOSSES)]
    lines += [f"    {phase} --> [*]" for phase in Phase if not any(move.source is phase for move in MOVES)]
    return "\n".join(lines) + "\n"
