"""The walk through what lies below the prefix: what is named like an upload's, and nothing of other stores."""

from collections.abc import Iterator
from functools import partial

from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import Stray
from ferryman_server.storage.s3_calls import Listed
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.s3_retry import again


def strays(client: S3Client, names: Names, others: set[str], *, patience: float) -> Iterator[Stray]:
    """Every tail and every object whose key holds an upload's id. A page that fails is asked for again until `patience`
    (seconds) is over. Raises S3Error.

    Another store may have a prefix below ours: its prefix is added to `others`, and what comes behind is passed over.
    In the order of the keys that is all of it, unless its keys begin with file names that begin with something like
    `-`.
    """
    for listed in s3_calls.walk(client, names.root, partial(again, patience=patience)):
        other = names.other_store(listed.key)
        if other is not None:
            others.add(other)
        upload_id = None if listed.key.startswith(tuple(others)) else names.id_in(listed.key)
        if upload_id is not None:
            yield _stray(listed, upload_id, published=not names.is_tail(listed.key))


def _stray(listed: Listed, upload_id: str, *, published: bool) -> Stray:
    return Stray(
        upload_id=upload_id,
        published=published,
        size=listed.size,
        modified_at=listed.modified_at,
        place=listed.key,
    )
