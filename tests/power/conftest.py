"""What the tests of this folder share."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder in memory, where there is one: these disks are models, and the real one has nothing to do with them."""
    with tempfile.TemporaryDirectory(prefix="power-", dir=in_memory()) as folder:
        yield Path(folder).resolve()


def in_memory() -> str | None:
    """A folder in memory; None: the ordinary place for temporary files."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
