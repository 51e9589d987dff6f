"""The media of the SQLite state: the contracts every backend keeps."""

from pathlib import Path

from hypothesis import settings

from ferryman_server.state.sqlite import SqliteState
from ferryman_server.state.testing_media import LibraryMachine, MediaTests


def make_state(place: Path) -> SqliteState:
    """The backend under test."""
    return SqliteState(place / "state.db", store_id="store", durable=False)  # syncs are what other tests are about


class TestSqliteKeepsTheContractOfMedia(MediaTests):
    """The inherited tests."""

    def make(self, place: Path) -> SqliteState:
        """A state in a file of this folder."""
        return make_state(place)


class SqliteLibraryMachine(LibraryMachine):
    """The inherited machine."""

    def make(self, place: Path) -> SqliteState:
        """A state in a file of this folder."""
        return make_state(place)


TestSqliteLibraryAgainstAModel = SqliteLibraryMachine.TestCase
TestSqliteLibraryAgainstAModel.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
