"""The tests that the media of every state backend pass: inherit :class:`MediaTests` and :class:`LibraryMachine`.

As :mod:`ferryman_server.state.testing` does for uploads: supply `make`. `MediaTests` names what the contracts of
:mod:`.archives`, :mod:`.library` and :mod:`.outbox` promise, `LibraryMachine` holds a backend against a plain model.
"""

from pathlib import Path

from ferryman_server.state.base import State
from ferryman_server.state.testing_archives import ArchivesTests
from ferryman_server.state.testing_library import LibraryTests
from ferryman_server.state.testing_library_machine import LibraryMachine
from ferryman_server.state.testing_outbox import OutboxTests


class MediaTests(ArchivesTests, LibraryTests, OutboxTests):
    """What the contracts promise, backend by backend."""

    def make(self, place: Path) -> State:
        """A backend that is not open yet; the same place means the same data."""
        raise NotImplementedError


__all__ = ["LibraryMachine", "MediaTests"]
