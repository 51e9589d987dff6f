"""Header fields as a request brought them: an immutable multi-map with lower-case names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in the order they came; names compare without case, values are kept as sent (latin-1 text)."""

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_raw(cls, raw: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """Take ASGI's header list. Optional white space around a value is trimmed (RFC 9110 §5.5)."""
        return cls(tuple((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")) for name, value in raw))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of the field, in order; empty when the field is absent."""
        return tuple(value for key, value in self.fields if key == name)

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.fields)

    def joined(self, name: str) -> str | None:
        """The field's lines joined with a comma (RFC 9110 §5.3), or None when it is absent."""
        values = self.all(name)
        return ", ".join(values) if values else None
