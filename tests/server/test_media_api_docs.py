"""docs/reference/media-api.md is true: URLs, parameters, fields and phases, and the shape of its examples."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ferryman_server.auth import Action
from ferryman_server.media_edits import FIELDS
from ferryman_server.media_queries import PARAMETERS
from tests.fuzz.description import Description
from tests.server.media_api_rig import archive, running

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "media-api.md").read_text("utf-8")
EXAMPLES: list[Any] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
SCHEMAS = Description().document["components"]["schemas"]


def rows(heading: str) -> list[str]:
    """The first words of a section's table."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)


def test_it_has_every_parameter_field_and_phase() -> None:
    """In its tables, in the order of the code."""
    assert tuple(rows("A list of media")) == PARAMETERS
    assert rows("Changing a medium") == list(FIELDS) == list(SCHEMAS["MediumEdit"]["properties"])
    phases = SCHEMAS["Processing"]["properties"]["phase"]["enum"]
    assert sorted(rows("What becomes of an archive")) == sorted(phases)
    assert set(SCHEMAS["Frames"]["properties"]["phase"]["enum"]) == {*phases, "none"}


def test_it_has_every_url() -> None:
    """Those of the library in its first table."""
    for operation in Description().operations:
        if operation.path.startswith(("/api/media", "/api/tags")) or operation.path.endswith(("/frames", "/reprocess")):
            assert re.search(rf"`{operation.method}`[^\n]*`[^`]*{re.escape(operation.path)}`", PAGE) or (
                f"`{operation.method} {operation.path}`" in PAGE
            ), operation.id


@pytest.mark.parametrize("action", [Action.LIST, Action.INSPECT, Action.EDIT, Action.TERMINATE, Action.DOWNLOAD])
def test_it_says_what_the_guard_is_asked(action: Action) -> None:
    """By the names that a guard sees."""
    assert f"`{action}`" in PAGE.split("## Who may\n")[1]


async def test_its_examples_have_the_shape_of_answers() -> None:
    """The same names in the same order, and values of the same types."""
    async with running() as rig:
        medium = await rig.medium(data=archive(3))
        frames = await rig.get(f"/api/uploads/{medium['upload']}/frames")
        processing = await rig.processing(medium["upload"])
    assert [list(example) for example in EXAMPLES] == [list(medium), list(processing), list(frames)]
    assert list(EXAMPLES[2]["frames"][0]) == list(frames["frames"][0])
    assert list(EXAMPLES[0]["processing"][0]) == SCHEMAS["Derived"]["required"]
    for name, value in EXAMPLES[0].items():
        assert type(value) is type(medium[name]), name


async def test_answers_have_the_fields_that_the_description_has() -> None:
    """A medium, an upload and its frames, each in the order of openapi.json."""
    async with running() as rig:
        medium = await rig.medium()
        upload = await rig.get(f"/api/uploads/{medium['upload']}")
        frames = await rig.get(f"/api/uploads/{medium['upload']}/frames")
    for answer, schema in (
        (medium, "Medium"),
        (upload, "Upload"),
        (frames, "Frames"),
        (upload["processing"], "Processing"),
    ):
        assert list(answer) == list(SCHEMAS[schema]["properties"]), schema
