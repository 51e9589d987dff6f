"""What was wrong, and when: who was disturbed by it is excused, and nobody else.

Beside it stands the gate: the machine closes it when nothing is to be asked of the server.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Ill(Enum):
    """A thing that is wrong with the server, its disk or the network."""

    DEAD = "the server is killed or stopped"
    NETWORK = "the network stalls or is cut"
    FULL = "the disk is full"
    SLOW = "the disk is slow"
    FAILING = "syncs fail"
    FROZEN = "the server does not run"
    AWAY = "MinIO is away, or fails"


NETWORK: Final = (Ill.DEAD, Ill.NETWORK, Ill.FROZEN)
STORE: Final = (Ill.FULL, Ill.SLOW, Ill.FAILING, Ill.AWAY)
_EVER: Final = float("inf")


@dataclass(slots=True)
class _Spell:
    ill: Ill
    began: float
    ended: float = _EVER


class Weather:
    """A record of what was wrong. Safe in threads."""

    def __init__(self) -> None:
        self._spells: list[_Spell] = []

    @contextmanager
    def spell(self, ill: Ill) -> Iterator[None]:
        """Something is wrong for the length of the `with`."""
        spell = _Spell(ill, time.monotonic())
        self._spells.append(spell)
        try:
            yield
        finally:
            spell.ended = time.monotonic()

    def since(self, began: float, *ills: Ill) -> bool:
        """Whether one of these (or anything at all) was wrong at some moment from `began` on."""
        return any(spell.ended >= began and (not ills or spell.ill in ills) for spell in self._spells)


class Gate:
    """Everybody asks the server inside the gate; whoever closes it has the server to himself."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = False
        self._inside = 0

    @contextmanager
    def inside(self) -> Iterator[None]:
        """One question to the server; waits while the gate is closed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def closed(self, patience: float) -> Iterator[bool]:
        """Let nobody ask for the length of the `with`. False: somebody still asks after `patience` seconds."""
        with self._changed:
            self._closed = True
            alone = self._changed.wait_for(lambda: self._inside == 0, patience)
        try:
            yield alone
        finally:
            with self._changed:
                self._closed = False
                self._changed.notify_all()
