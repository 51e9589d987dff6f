"""The inherited tests live in the package: their assertions are explained like those of a test file."""

import pytest

pytest.register_assert_rewrite(
    "ferryman_server.state.testing",
    "ferryman_server.state.testing_machine",
    "ferryman_server.state.testing_records",
)
