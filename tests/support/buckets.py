"""Buckets for tests."""

import secrets

from tests.minio import Minio


def fresh_bucket(minio: Minio) -> str:
    """A new empty bucket."""
    name = f"test-{secrets.token_hex(6)}"
    minio.client().make_bucket(name)
    return name
