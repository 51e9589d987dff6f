"""Every server requirement of both protocols is named by at least one case in protocol/vectors."""

import json
from collections.abc import Iterator

from tests.protocol.decisions import VECTORS

REQUIREMENTS = {f"T{number}" for number in range(1, 27)} | {f"R{number}" for number in range(1, 28)}


def _named(value: object) -> Iterator[str]:
    """All requirements named anywhere in a vector file, whatever its shape."""
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "requirement" and isinstance(item, list):
                yield from (name for name in item if isinstance(name, str))
            else:
                yield from _named(item)


def test_every_requirement_has_a_case() -> None:
    """T1 to T26 and R1 to R27 are all shown by a decision or a conversation."""
    named = {name for path in VECTORS.glob("*.json") for name in _named(json.loads(path.read_text("utf-8")))}
    assert sorted(REQUIREMENTS - named) == []


def test_cases_have_names_of_their_own() -> None:
    """Within the decision files, a case can be found by its name."""
    for name in ("negotiate.json", "tus1.json", "rufh.json"):
        cases = [case["name"] for case in json.loads((VECTORS / name).read_text("utf-8"))["cases"]]
        assert len(cases) == len(set(cases))
