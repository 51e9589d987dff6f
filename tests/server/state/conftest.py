"""What the tests of the state share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ferryman_server.state.sqlite import SqliteState


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[SqliteState]:
    """An open, empty state."""
    state = SqliteState(tmp_path / "state.db", store_id="store")
    await state.open()
    yield state
    await state.close()
