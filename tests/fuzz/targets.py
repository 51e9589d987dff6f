"""The targets of the guided searches: each takes any bytes, and raises when a promise does not hold for them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ferryman_protocol.structured_fields import Date, Item, StructuredFieldError, parse_dictionary
from tests.fuzz import target_archives, target_fields, target_http, target_requests


def check_planted(data: bytes) -> None:
    """A promise that does not hold, so that the drivers can show that they find such things."""
    try:
        members = parse_dictionary(target_fields.lines_of(data))
    except StructuredFieldError:
        return
    assert not any(isinstance(member, Item) and isinstance(member.value, Date) for member in members.values())


PLANTED: Final = "planted"

TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = MappingProxyType(
    {
        "structured": target_fields.check_structured,
        "metadata": target_fields.check_metadata,
        "digests": target_fields.check_digests,
        "values": target_fields.check_values,
        "disposition": target_http.check_disposition,
        "ranges": target_http.check_ranges,
        "head": target_http.check_head,
        "tus": target_requests.check_tus,
        "rufh": target_requests.check_rufh,
        "archive": target_archives.check_archive,
        "description": target_archives.check_description,
        PLANTED: check_planted,
    }
)
