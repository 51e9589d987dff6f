"""Settings that every test shares."""

import pytest
from hypothesis import settings

pytest_plugins = ["tests.minio_fixtures"]

# The classes that backends inherit: a failure inside them is to be as readable as in a test module. Here, before any
# test module imports one of them.
pytest.register_assert_rewrite(
    "ferryman_server.state.testing",
    "ferryman_server.state.testing_machine",
    "ferryman_server.state.testing_records",
    "ferryman_server.storage.testing",
    "ferryman_server.storage.testing_machine",
    "ferryman_server.storage.testing_rig",
    "ferryman_server.storage.testing_settling",
    "ferryman_server.storage.testing_small",
)

# A slow machine is not a wrong answer: hangs are pytest-timeout's business.
settings.register_profile("ferryman", parent=settings(), deadline=None)
settings.load_profile("ferryman")
