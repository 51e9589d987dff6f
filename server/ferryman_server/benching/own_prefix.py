"""A prefix of our own in a bucket, below the one of the settings: whatever lies there is removed at the end."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

from ferryman_server.s3_opening import place, s3_client
from ferryman_server.settings import Settings
from ferryman_server.storage.base import StoreError

PATIENCE: Final = 10.0  # seconds for which a server that is busy is asked again


@contextmanager
def own_prefix(settings: Settings) -> Iterator[str]:
    """A place, `s3://BUCKET/PREFIX`, that nobody else uses. What could not be removed is told on standard error. Raises
    StoreError when there is no way to the bucket."""
    s3_client(settings).close()  # a package or a key that is missing is told before anything is started
    bucket, prefix = place(settings)
    own = "/".join(filter(None, (prefix, f"ferryman-bench-{secrets.token_hex(6)}")))
    try:
        yield f"s3://{bucket}/{own}"
    finally:
        try:
            _remove(settings, own)
        except StoreError as error:
            print(f"s3://{bucket}/{own} could not be removed: {error}; delete it by hand", file=sys.stderr)


def _remove(settings: Settings, prefix: str) -> None:
    from ferryman_server.storage import s3_calls  # these packages belong to an extra of their own
    from ferryman_server.storage.s3_names import Names
    from ferryman_server.storage.s3_retry import again

    client, names = s3_client(settings), Names(prefix)
    try:
        keys = [listed.key for listed in s3_calls.walk(client, names.root, partial(again, patience=PATIENCE))]
        for key in sorted(keys, key=lambda key: key == names.identity):  # last: it says whose the others are
            again(partial(s3_calls.delete, client, key), patience=PATIENCE)
        with suppress(StoreError):  # few need the right to do this, and most buckets keep no versions
            for key, version in s3_calls.versions(client, names.root):
                s3_calls.delete_version(client, key, version)
    finally:
        client.close()
