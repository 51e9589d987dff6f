"""Reads the language-neutral cases of protocol/vectors/, which the JavaScript tests run as well.

A file is an array of `{"name", "input", "expect" | "error": true, "requirement"?: ["R1", …]}`. Bytes are base64.

- structured-fields: input `{"type": item | list | dictionary | integer-field | boolean-field, "lines": […]}`. A member
  is `{"value", "parameters"?: [[key, value], …]}` or `{"items": [member, …], "parameters"?}`, a dictionary is an array
  of `[key, member]`. Integers, strings and booleans are plain, the rest is `{"decimal" | "token" | "bytes" | "date" |
  "display": …}`. `canonical` is the text written back, where it is not the lines joined with ", ".
- metadata: input is the header's value; expect is an array of `[key, value]`.
- digests: input `{"type": digests | want | checksum, "lines": […]}`; expect is an array of `[algorithm, digest]` or
  null, an array of algorithms, or `[algorithm, digest]`.
- numbers: input `{"type": "whole-number", "text"}` or `{"type": "content-length", "lines"}`; expect is the number as
  text, since JSON readers round large ones, or null.
- dispositions: input is the header's value (one character a byte, as HTTP libraries hand it over); expect is the name
  or null.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2] / "protocol" / "vectors"


@dataclass(frozen=True)
class Case:
    """One case of a vector file."""

    name: str
    input: Any
    expect: Any
    error: bool
    canonical: str | None


def load(file: str) -> list[Case]:
    """Every case of one file, in order."""
    rows = json.loads((VECTORS / file).read_text(encoding="utf-8"))
    return [
        Case(row["name"], row["input"], row.get("expect"), row.get("error", False), row.get("canonical"))
        for row in rows
    ]


def each(file: str) -> pytest.MarkDecorator:
    """Run a test once for every case of the file, as its argument `case`."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in load(file)])
