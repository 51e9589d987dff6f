"""What server and jobs process tell each other: one line of JSON a message, each request answered once and in order."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

LONGEST: Final = 1 << 20  # bytes of a line


@dataclass(frozen=True, slots=True)
class Request:
    """Work to be done. The same kind, key and data are the same work, however often they are sent."""

    kind: str
    key: str
    data: Mapping[str, Any]

    def to_line(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @property
    def workflow_id(self) -> str:
        """What it is known as where it is done."""
        return f"{self.kind}:{self.key}:{json.dumps(self.data, sort_keys=True)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: a result, or the reason why there is none."""

    result: Mapping[str, Any] | None = None
    failed: str | None = None

    def to_line(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"


def read_request(line: bytes) -> Request:
    """A request that was sent."""
    return Request(**json.loads(line))


def read_answer(line: bytes) -> Answer:
    """An answer that was sent."""
    return Answer(**json.loads(line))
