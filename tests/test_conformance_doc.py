"""docs/conformance.md has a row for every requirement, and every case that it names exists and shows just that."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "conformance.md").read_text("utf-8")
REQUIREMENTS = [f"T{number}" for number in range(1, 27)] + [f"R{number}" for number in range(1, 28)]


def rows() -> dict[str, str]:
    """The last cell (what shows it) of each row, by its requirement."""
    found = [re.fullmatch(r"\| ([TR]\d+) \|.*\| ([^|]*) \|", line) for line in PAGE.splitlines()]
    return {match[1]: match[2] for match in found if match is not None}


def test_every_requirement_has_one_row() -> None:
    """T1 to T26 and R1 to R27, each once, in order."""
    assert re.findall(r"^\| ([TR]\d+) \|", PAGE, re.MULTILINE) == REQUIREMENTS
    assert list(rows()) == REQUIREMENTS


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_what_shows_it_exists(requirement: str) -> None:
    """Each case of a row is in its file and names the requirement itself; each test is a function of its file."""
    evidence = rows()[requirement].split("<br>")
    for each in evidence:
        case = re.fullmatch(r"`(\w+\.json)` (.+)", each)
        test = re.fullmatch(r"`(tests/[\w/]+\.py)::(\w+)`", each)
        assert case or test, f"neither a case nor a test: {each}"
        if case:
            assert requirement in shown_by(case[1], case[2]), each
        elif test:
            assert re.search(rf"^ *(async )?def {test[2]}\(", (ROOT / test[1]).read_text("utf-8"), re.MULTILINE), each


def shown_by(file: str, name: str) -> list[str]:
    """The requirements that a case names."""
    document: dict[str, Any] = json.loads((ROOT / "protocol" / "vectors" / file).read_text("utf-8"))
    (case,) = [case for case in document["cases"] if case["name"] == name]
    requirements: list[str] = case["requirement"]
    return requirements


def test_what_is_spoken_is_what_is_said() -> None:
    """The versions that the page names are those of the code."""
    from ferryman_protocol.rufh_versions import VERSIONS

    assert f"**Interop versions** {min(VERSIONS)} to {max(VERSIONS)} are spoken" in PAGE
    assert list(VERSIONS) == list(range(min(VERSIONS), max(VERSIONS) + 1))
