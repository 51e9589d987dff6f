"""Settings that every test shares."""

from functools import cache

import httpx
import pytest
from hypothesis import settings

from tests.support.order import place

pytest_plugins = ["tests.minio_fixtures"]

# The classes that backends inherit: a failure inside them is to be as readable as in a test module. Here, before any
# test module imports one of them.
pytest.register_assert_rewrite(
    "ferryman_server.state.testing",
    "ferryman_server.state.testing_machine",
    "ferryman_server.state.testing_records",
    "ferryman_server.storage.testing",
    "ferryman_server.storage.testing_derived",
    "ferryman_server.storage.testing_derived_machine",
    "ferryman_server.storage.testing_machine",
    "ferryman_server.storage.testing_rig",
    "ferryman_server.storage.testing_settling",
    "ferryman_server.storage.testing_small",
)

# A slow machine is not a wrong answer: hangs are pytest-timeout's business.
settings.register_profile("ferryman", parent=settings(), deadline=None)
settings.load_profile("ferryman")

# httpx reads all certificates that it trusts for each client and each `httpx.get`: 35 ms of computing, mostly for plain
# HTTP on loopback, thousands of times. Here they are read once in a process.
pytest.MonkeyPatch().setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; all others keep their order."""
    items.sort(key=lambda item: place(item.path))
