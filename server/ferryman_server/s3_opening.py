"""The S3 store that the settings name: `s3://BUCKET/PREFIX`, with keys and region from the usual AWS variables."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ferryman_server.settings import Settings
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.ledger import Ledger
from ferryman_server.storage.s3_signing import Keys

if TYPE_CHECKING:  # its packages belong to an extra of their own
    from ferryman_server.storage.s3 import S3Store
    from ferryman_server.storage.s3_client import S3Client
    from ferryman_server.storage.s3_links import Links

DEFAULT_REGION: Final = "us-east-1"


def open_s3(
    settings: Settings, ledger: Ledger, environ: Mapping[str, str] = os.environ, *, make: bool = True
) -> "S3Store":
    """The store, opened; with `make=False` only where it has been opened before. Raises StoreError in words an operator
    understands."""
    client = s3_client(settings, environ)
    from ferryman_server.storage.s3 import S3Store
    from ferryman_server.storage.s3_names import Names

    _, prefix = place(settings)
    store = S3Store(
        client,
        Names(prefix, settings.s3_key),
        ledger,
        memory=settings.s3_memory,
        patience=settings.s3_patience,
        links=s3_links(settings, environ),
    )
    try:
        store.open(make=make)
    except BaseException:
        store.close()
        raise
    return store


def s3_client(settings: Settings, environ: Mapping[str, str] = os.environ) -> "S3Client":
    """A client for the bucket. Raises StoreError when a package or a key is missing."""
    try:
        from ferryman_server.storage.s3_client import S3Client
        from ferryman_server.storage.s3_sums import ALGORITHMS
    except ImportError as error:
        raise StoreError(f"{settings.store} needs: pip install ferryman[server,s3] ({error})") from error
    missing = missing_keys(environ)
    if missing:
        raise StoreError(f"{settings.store} needs the variables {' and '.join(missing)}: the keys to the bucket")
    bucket, _ = place(settings)
    algorithm = ALGORITHMS[settings.s3_checksum.upper()]
    return S3Client(endpoint(settings, environ), bucket, read_keys(environ), region(environ), algorithm)


def s3_links(settings: Settings, environ: Mapping[str, str] = os.environ) -> "Links | None":
    """Where downloads are to come from the bucket itself: what makes links for them. The keys have to be there."""
    from ferryman_server.storage.s3_links import Links

    if settings.s3_downloads != "redirect":
        return None
    reached = settings.s3_public_endpoint or endpoint(settings, environ)
    return Links(reached, place(settings)[0], read_keys(environ), region(environ))


def missing_keys(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The variables that are needed and not set."""
    return [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environ.get(name)]


def read_keys(environ: Mapping[str, str] = os.environ) -> Keys:
    """The keys, which must be there."""
    return Keys(
        access=environ["AWS_ACCESS_KEY_ID"],
        secret=environ["AWS_SECRET_ACCESS_KEY"],
        token=environ.get("AWS_SESSION_TOKEN") or None,
    )


def region(environ: Mapping[str, str] = os.environ) -> str:
    """The region that requests are signed for."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION


def endpoint(settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """The server's URL."""
    return settings.s3_endpoint or f"https://s3.{region(environ)}.amazonaws.com"


def place(settings: Settings) -> tuple[str, str]:
    """Bucket and prefix, the prefix without slashes at its ends."""
    bucket, _, prefix = settings.store.removeprefix("s3://").partition("/")
    return bucket, prefix.strip("/")
