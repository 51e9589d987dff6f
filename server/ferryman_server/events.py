"""What happened to uploads, told inside this process: to metrics, progress logs, and whoever subscribes.

An event is published after its commit, never before: a listener may rely on it. Listeners are called in the order they
subscribed, on the event loop, and must not block; one that raises is logged and keeps nobody else from hearing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

import structlog

from ferryman_server.state.base import Record

Name: TypeAlias = Literal[
    "created", "progress", "frame", "complete", "published", "derived", "retracted", "failed", "terminated", "expired"
]
NAMES: Final[tuple[Name, ...]] = get_args(Name)
STEPS: Final[frozenset[Name]] = frozenset({"progress", "frame"})  # many of them make one occurrence

log = structlog.get_logger("ferryman.events")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one upload."""

    name: Name
    upload_id: str
    at: float  # seconds since the epoch
    # for instance offset and length, in bytes; values that JSON has, under other names than `seq`, `upload` and `at`
    data: Mapping[str, object] = field(default_factory=dict)
    record: Record | None = field(default=None, repr=False)  # as committed: with progress and complete


Listener: TypeAlias = Callable[[Event], None]


class Events:
    """Hands events on to listeners."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on. Returns what ends the subscription (idempotent)."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell every listener. Never raises."""
        for listener in tuple(self._listeners):  # a listener may unsubscribe while it is called
            try:
                listener(event)
            except Exception:
                log.exception("a listener failed", event_name=event.name, upload_id=event.upload_id)
