"""A listener to events, by the rules of HTML's "Server-sent events" and of docs/reference/events.md.

It reads the stream as a browser does, remembers the last id, and keeps a view of the uploads that are not over: a
`reset` replaces the view, the other events change it.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

OVER: Final = ("complete", "failed", "terminated", "expired")


@dataclass(frozen=True, slots=True)
class Heard:
    """One event."""

    name: str
    data: dict[str, Any]
    id: int | None  # None: it came without one


class Reader:
    """Takes a stream apart, however its bytes are cut."""

    def __init__(self) -> None:
        self.retry: int | None = None  # milliseconds
        self.comments: list[str] = []
        self._rest = b""

    def feed(self, data: bytes) -> list[Heard]:
        """The events that are complete now."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        return [heard for block in blocks for heard in self._read(block.decode())]

    def _read(self, block: str) -> list[Heard]:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, colon, value = line.partition(":")
            if not name and colon:
                self.comments.append(value.removeprefix(" "))
                continue
            assert name in ("id", "event", "data", "retry"), line
            assert name not in fields, block
            fields[name] = value.removeprefix(" ")
        if "retry" in fields:
            self.retry = int(fields["retry"])
        if "data" not in fields:
            return []
        number = int(fields["id"]) if "id" in fields else None
        return [Heard(fields["event"], json.loads(fields["data"]), number)]


class Listener:
    """What a client knows. It outlives the streams that it hears."""

    def __init__(self) -> None:
        self.last_id: int | None = None
        self.view: dict[str, dict[str, Any]] = {}  # uploads that are not over, by id
        self.since_reset: list[int] = []  # the ids of what came after the last `reset`
        self.base: int | None = None  # that one's id
        self.resets = 0

    def hear(self, heard: Heard) -> None:
        """Take an event in."""
        if heard.id is not None:
            assert heard.data["seq"] == heard.id < 1 << 53
            assert self.last_id is None or heard.id > self.last_id or heard.name == "reset", "ids rise"
            assert self.last_id is None or heard.id >= self.last_id, "ids never fall"
            self.last_id = heard.id
        if heard.name == "reset":
            self.resets += 1
            self.base, self.since_reset = heard.id, []
            self.view = {upload["id"]: upload for upload in heard.data["uploads"]}
            return
        upload_id = heard.data["upload"]
        if heard.id is not None:
            self.since_reset.append(heard.id)
        if heard.name == "created":
            self.view.setdefault(upload_id, {"offset": 0, **heard.data})  # a snapshot may have it already
        elif heard.name == "progress":
            assert upload_id in self.view, "progress of an upload that is not known, or over"
            self.view[upload_id] |= {"offset": heard.data["offset"]}
        elif heard.name in OVER:
            self.view.pop(upload_id, None)
