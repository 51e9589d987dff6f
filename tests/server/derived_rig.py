"""Something that was made of media, put where the jobs put it."""

from ferryman_server.media.derivatives import MEDIA_TYPES, place_of
from ferryman_server.state.library import Library
from ferryman_server.state.media import Derived, Making
from ferryman_server.storage.base import Store
from ferryman_server.storage.derived import DerivedFiles, KeepsDerived

MADE_AT = 1_795_000_000.25  # seconds since the epoch
BYTES = bytes(range(256)) * 20


def files_of(store: Store) -> DerivedFiles:
    """Where that lies which is made of media."""
    assert isinstance(store, KeepsDerived)
    return store.derived


async def make(
    library: Library,
    store: Store,
    upload_id: str,
    kind: str,
    content: bytes = BYTES,
    *,
    generation: int,
    at: float = MADE_AT,
) -> str:
    """Put it in the store and tell the library; its place."""
    place = place_of(upload_id, generation, kind)
    files_of(store).put(place, content)
    made = Derived(
        upload_id=upload_id,
        kind=kind,
        state="ready",
        place=place,
        size=len(content),
        content_type=MEDIA_TYPES[kind],
        updated_at=at,
    )
    assert await library.put_derived(generation, [made])
    return place


async def record(
    library: Library, upload_id: str, kind: str, state: Making, reason: str | None = None, *, generation: int
) -> None:
    """Tell the library of something that is not there."""
    row = Derived(upload_id=upload_id, kind=kind, state=state, reason=reason, updated_at=MADE_AT)
    assert await library.put_derived(generation, [row])
