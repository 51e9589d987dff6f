"""Which store a bucket and prefix are: the id that lies there, as `store.toml` does in a data folder."""

from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.identity import identity_text, new_store_id, parse_identity
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_errors import S3Error
from ferryman_server.storage.s3_sums import summed

_HEADERS = {"content-type": "application/toml"}


def read_or_make_identity(client: S3Client, key: str, *, make: bool = True) -> str:
    """The id under this key, made when there is none, if it may be made. Raises StoreError: the bucket is not there,
    its keys are wrong, the server is away; passing S3Errors as they are."""
    try:
        name = read_identity(client, key)
        if name is None and not make:
            raise StoreError(
                f"{client.endpoint}: no server has kept uploads there, {client.bucket}/{key} is missing. Does the "
                "setting store name the right bucket and prefix? If the object was lost, bring it back from a backup."
            )
        if name is None:
            text = identity_text(new_store_id())
            _put(client, key, text)
            name = read_identity(client, key)  # another process may have been first
    except S3Error as error:
        raise _explained(client, error) from error
    if name is None:
        raise StoreError(f"{client.endpoint} does not keep what is written to {client.bucket}/{key}")
    return name


def read_identity(client: S3Client, key: str) -> str | None:
    """The id under this key; None: there is none. Raises S3Error, and StoreError when it cannot be understood."""
    found = s3_calls.head(client, key)
    if found is None:
        s3_calls.listing(client, key)  # no object, or no bucket? HEAD is refused to keys for the prefix alone
        return None
    text = b"".join(s3_calls.get(client, key, 0, found.size)) if found.size else b""
    return parse_identity(text, f"{client.bucket}/{key}")


def _put(client: S3Client, key: str, text: bytes) -> None:
    try:
        s3_calls.put(client, key, text, len(text), summed([text]), _HEADERS)
    except S3Error as error:
        if error.status != 412:
            raise


def away(client: S3Client, error: S3Error) -> StoreError:
    """What an operator is told when a passing error has lasted too long."""
    return StoreError(
        f"{client.endpoint} does not answer as it should: {error}. Is the S3 server up, and is the setting s3_endpoint "
        "right?"
    )


def _explained(client: S3Client, error: S3Error) -> StoreError:
    """What an operator has to do about it."""
    where = f"{client.endpoint}, bucket {client.bucket}"
    if error.passing:
        return error
    if error.status == 404:
        return StoreError(f"{where}: there is no such bucket. Make it first (mc mb, or the server's console).")
    if error.refused:
        return StoreError(
            f"{where}: the keys are refused ({error.code}). Look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "AWS_REGION, and at what these keys may do there."
        )
    return StoreError(f"{where}: {error}")
