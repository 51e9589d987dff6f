"""The parser of metadata.json, its JSON Schema and its page say the same."""

import json
import re
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.frame_formats import ENDINGS, Format
from ferryman_server.media.metadata import BadMetadata, parse_metadata

REFERENCE: Final = Path(__file__).parents[3] / "docs" / "reference"
SCHEMA: Final = json.loads((REFERENCE / "metadata.schema.json").read_text("utf-8"))
PAGE: Final = (REFERENCE / "frames.md").read_text("utf-8")
VALIDATOR: Final = jsonschema_rs.Draft202012Validator(SCHEMA)
NUMBERS: Final = (
    st.integers(-2, 20_000) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.just(240.0)
)
TEXTS: Final = (
    st.text(max_size=8) | st.text(max_size=230) | st.sampled_from(["a", "a\nb", "a\x7f", "\u2029", "x" * 200])
)
FORMATS: Final = st.sampled_from([*Format, "jpg", "JPG", "Rgb565LE", "rgb565", "rgb", "jpge", "png ", "\npng", "png\n"])
ANY: Final = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | FORMATS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
LIKELY: Final = {  # right more often than wrong
    "width": st.integers(1, 16_384),
    "height": st.just(240) | NUMBERS,
    "format": FORMATS,
    "fps": st.floats(0, 1000),
    "frames": st.none() | NUMBERS | st.lists(TEXTS, max_size=4) | st.lists(ANY, max_size=2),
    "title": st.none() | TEXTS,
}


@given(
    given_fields=st.fixed_dictionaries({name: LIKELY[name] for name in SCHEMA["required"]}),
    others=st.fixed_dictionaries({}, optional={**LIKELY, "made": ANY}),
    strange=st.dictionaries(st.sampled_from(sorted(LIKELY)), ANY, max_size=1),
    left_out=st.just("made") | st.sampled_from(sorted(LIKELY)),
)
def test_the_schema_says_the_same(given_fields: Any, others: Any, strange: Any, left_out: str) -> None:
    """What the JSON Schema takes is read, and what it does not take is refused."""
    fields = {**given_fields, **others, **strange}
    fields.pop(left_out, None)
    hold_against_schema(fields)


@given(ANY)
def test_the_schema_says_the_same_of_anything(value: Any) -> None:
    """Also when it is no object at all."""
    hold_against_schema(value)


def hold_against_schema(fields: Any) -> None:
    """The parser and the schema agree."""
    try:
        parse_metadata(json.dumps(fields).encode())
        read = True
    except BadMetadata:
        read = False
    assert VALIDATOR.is_valid(fields) == read


def test_the_schema_is_one() -> None:
    """It is a valid schema of the draft that it names, and its own examples fit it."""
    assert jsonschema_rs.meta.is_valid(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for example in SCHEMA["examples"]:
        assert VALIDATOR.is_valid(example)
        parse_metadata(json.dumps(example).encode())


def test_the_page_shows_what_is_taken() -> None:
    """Its examples are read, and its tables have every field, and every ending of every format."""
    examples = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for example in examples:
        parse_metadata(example.encode())
        assert VALIDATOR.is_valid(json.loads(example))
    for name in SCHEMA["properties"]:
        required = "required" if name in SCHEMA["required"] else "optional"
        assert f"\n| `{name}` | {required} |" in PAGE
    for form, endings in ENDINGS.items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{form}` | "))
        assert re.findall(r"`(\.\w+)`", row) == list(endings)
