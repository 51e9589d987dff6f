"""What the settings allow an archive."""

from ferryman_server.media.zip_index import Limits
from ferryman_server.settings import Settings


def limits_of(settings: Settings) -> Limits:
    """The walker's limits."""
    return Limits(
        entries=settings.zip_entries,
        name_length=settings.zip_name_length,
        entry_size=settings.zip_entry_size,
        total_size=settings.zip_total_size,
    )
