"""Reads docs/reference/openapi.json: which operations there are, and what each may be answered."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
PROBLEM: Final = "application/problem+json"
METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A method of a path, and for each status the problem types that it can mean (none for a success)."""

    id: str
    method: str
    path: str
    answers: Mapping[int, frozenset[str]]

    @property
    def types(self) -> frozenset[str]:
        """Every problem type that can come."""
        return frozenset().union(*self.answers.values())


class Description:
    """The description as a whole."""

    def __init__(self) -> None:
        self.text = PATH.read_text("utf-8")
        self.document: Json = json.loads(self.text)
        self.operations = tuple(self._operations())

    def find(self, method: str, path: str) -> Operation | None:
        """The operation, if it is described; HEAD of what only GET is described for is GET."""
        found = {(each.method, each.path): each for each in self.operations}
        return found.get((method, path)) or (found.get(("GET", path)) if method == "HEAD" else None)

    def resolved(self, value: Json) -> Json:
        """The value itself, or what it refers to. Raises KeyError for a reference to nothing."""
        while "$ref" in value:
            target: Any = self.document
            for step in value["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            value = target
        return value

    def references(self) -> set[str]:
        """Every reference in it."""
        return set(_references(self.document))

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    answers = {int(status): self._types(said) for status, said in item[method]["responses"].items()}
                    yield Operation(id=item[method]["operationId"], method=method.upper(), path=path, answers=answers)

    def _types(self, response: Json) -> frozenset[str]:
        content = self.resolved(response).get("content", {})
        if PROBLEM not in content:
            return frozenset()
        own = content[PROBLEM]["schema"]["allOf"][1]["properties"]["type"]
        return frozenset(own.get("enum", [own.get("const")]))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
