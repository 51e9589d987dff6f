"""A server whose jobs nobody does but the tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ferryman_server.settings import Settings
from tests.server.media_api_rig import Rig, running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """It keeps local files, and wants nothing made."""
    return Settings(data=tmp_path / "data", previews=False, durability="os")


@pytest.fixture
async def rig(settings: Settings) -> AsyncIterator[Rig]:
    """It runs."""
    async with running(settings) as rig:
        yield rig
