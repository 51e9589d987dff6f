"""Which templates make keys of objects: `{date}/{id}/{filename}`, for instance."""

from string import Formatter
from typing import Final

TEMPLATE: Final = "{date}/{id}/{filename}"
FIELDS: Final = frozenset({"date", "year", "month", "day", "id", "filename"})


def check_template(template: str) -> str:
    """The template itself. Raises ValueError, with the reason, when no keys can be made from it."""
    try:
        found = [(field, spec, conversion) for _, field, spec, conversion in Formatter().parse(template) if field]
    except ValueError as error:
        raise ValueError(f"its braces do not match ({error})") from error
    for field, spec, conversion in found:
        if field not in FIELDS or spec or conversion:
            raise ValueError(f"{{{field}}} is not known in it; known are {', '.join(sorted(FIELDS))}")
    if "id" not in {field for field, _, _ in found}:
        raise ValueError("it has no {id}: two uploads of one name would get one key")
    sample = template.format_map(dict.fromkeys(FIELDS, "x"))
    if any(segment in ("", ".", "..") for segment in sample.split("/")):
        raise ValueError("it has an empty segment, or one of dots alone")
    if sample.startswith(".ferryman"):
        raise ValueError("keys below .ferryman are the store's own")
    return template
