"""The guard: may this caller do this to this upload? Asked before a byte is stored, and again before completion.

The default lets everyone do everything: the server listens on loopback, and an upload's URL holds 128 random bits. An
application brings its own guard: a coroutine function that looks at the request and answers Allow or Refuse.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TypeAlias

from ferryman_protocol.frozen import dataclass
from ferryman_protocol.headers import Headers
from ferryman_protocol.model import Upload
from ferryman_protocol.problems import Problem, Refused


class Action(StrEnum):
    """What the caller wants to do."""

    CREATE = "create"
    APPEND = "append"
    FINISH = "finish"  # asked again when the last byte is in: rights may have changed meanwhile (RUFH security section)
    INSPECT = "inspect"
    TERMINATE = "terminate"
    DOWNLOAD = "download"
    CONCATENATE = "concatenate"  # asked for each partial upload that a final one names
    LIST = "list"
    EDIT = "edit"  # what the library says of it, and what is made of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks, as far as the connection and the header fields tell."""

    headers: Headers
    address: str | None  # the peer's IP address


@dataclass(frozen=True, kw_only=True, slots=True)
class Allow:
    """Go on. `owner`, when given at creation, is recorded in the row."""

    owner: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refuse:
    """Do not; the problem says why (401, 403, 429… rows of the catalogue)."""

    problem: Problem


Guard: TypeAlias = Callable[[Caller, Action, Upload | None], Awaitable[Allow | Refuse]]


async def allow_everyone(caller: Caller, action: Action, upload: Upload | None) -> Allow | Refuse:
    """The default guard."""
    return Allow()


async def ask(guard: Guard, caller: Caller, action: Action, upload: Upload | None) -> Allow:
    """Ask the guard; raises Refused with its problem when it says no."""
    verdict = await guard(caller, action, upload)
    if isinstance(verdict, Refuse):
        raise Refused(verdict.problem)
    return verdict
