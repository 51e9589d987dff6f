"""Header fields as a request brought them: an immutable multi-map with lower-case names."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in the order they came; names compare without case, values are kept as sent (latin-1 text)."""

    fields: tuple[tuple[str, str], ...] = ()
    _values: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)  # a request is asked 30 times

    def __post_init__(self) -> None:
        values: dict[str, tuple[str, ...]] = {name: (value,) for name, value in self.fields}
        if len(values) != len(self.fields):
            values = _grouped(self.fields)
        object.__setattr__(self, "_values", values)

    @classmethod
    def from_raw(cls, raw: Iterable[tuple[bytes, bytes]]) -> "Headers":
        """Take ASGI's header list. Optional white space around a value is trimmed (RFC 9110 §5.5)."""
        return cls(tuple([(_name(name), value.decode("latin-1").strip(" \t")) for name, value in raw]))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    @property
    def repeated(self) -> bool:
        """Whether any field came on more than one line."""
        return len(self._values) != len(self.fields)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of the field, in order; empty when the field is absent."""
        return self._values.get(name, ())

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def joined(self, name: str) -> str | None:
        """The field's lines joined with a comma (RFC 9110 §5.3), or None when it is absent."""
        values = self._values.get(name)
        return ", ".join(values) if values else None


@functools.lru_cache(maxsize=256)
def _name(raw: bytes) -> str:
    return raw.decode("latin-1").lower()


def _grouped(fields: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    lines: dict[str, list[str]] = {}
    for name, value in fields:
        lines.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in lines.items()}
