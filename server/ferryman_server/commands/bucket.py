"""Does the bucket answer? A short look for `ferryman status`; `ferryman doctor` looks closely."""

from dataclasses import dataclass

from ferryman_server.s3_opening import missing_keys, place, s3_client
from ferryman_server.settings import Settings
from ferryman_server.storage.base import StoreError


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, in words."""

    text: str
    trouble: bool = False


def look_at_bucket(settings: Settings) -> Look:
    """Ask for the store's id, once. Without keys nobody is asked: they may be in the server's environment only."""
    missing = missing_keys()
    if missing:
        return Look(f"not asked, for want of {' and '.join(missing)} here")
    try:
        name = _identity(settings)
    except ImportError as error:
        return Look(f"not asked, for want of packages: pip install ferryman[server,s3] ({error})")
    except StoreError as failure:
        return Look(f"does not answer as it should: {failure}; ferryman doctor says more", trouble=True)
    return Look("answers" if name is not None else "answers, and no server has kept uploads there yet")


def _identity(settings: Settings) -> str | None:
    from ferryman_server.storage.s3_identity import read_identity
    from ferryman_server.storage.s3_names import Names

    client = s3_client(settings)
    try:
        return read_identity(client, Names(place(settings)[1]).identity)
    finally:
        client.close()
