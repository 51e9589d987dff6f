"""The stores' tests: failures inside the inherited suite are to be as readable as in a test module."""

import pytest

pytest.register_assert_rewrite(
    "ferryman_server.storage.testing",
    "ferryman_server.storage.testing_rig",
    "ferryman_server.storage.testing_machine",
)
