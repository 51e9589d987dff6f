"""Frozen dataclasses of our own making: made and copied fast, and otherwise like those of the standard library."""

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

from ferryman_protocol.frozen import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A place."""

    x: int
    y: int = 7


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Named(Point):
    """A place with a name, made by the standard library."""

    name: str = "here"


def test_an_object_cannot_be_changed() -> None:
    """Not a field, not its class, and nothing can be added; neither after it was made nor after it was copied."""
    for point in (Point(x=1), replace(Point(x=1), x=2)):
        for name, value in (("x", 3), ("y", 3), ("z", 3), ("__class__", Named)):
            with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
                setattr(point, name, value)
        with pytest.raises(dataclasses.FrozenInstanceError):
            del point.x
        assert type(point) is Point
        assert not hasattr(point, "__dict__")


def test_fields_and_defaults_are_those_of_the_class() -> None:
    """By keyword alone; what has no default must be given, and nothing else may be."""
    assert (Point(x=1).x, Point(x=1).y, Point(x=1, y=2).y) == (1, 7, 2)
    make: Any = Point
    for arguments in ({}, {"x": 1, "z": 2}):
        with pytest.raises(TypeError, match=r"Point\.__init__\(\)"):
            make(**arguments)
    with pytest.raises(TypeError, match="positional"):
        make(1)


def test_it_compares_prints_and_travels_as_ever() -> None:
    """Equality, hash, repr, copies and pickles."""
    point = Point(x=1)
    assert point == Point(x=1, y=7) != Point(x=2)
    assert len({point, Point(x=1), Point(x=2)}) == 2
    assert repr(point) == "Point(x=1, y=7)"
    assert copy.copy(point) == pickle.loads(pickle.dumps(point)) == point
    assert dataclasses.asdict(point) == {"x": 1, "y": 7}


def test_tools_see_what_the_constructor_takes() -> None:
    """Names, defaults and types: Hypothesis builds objects from them."""
    parameters = inspect.signature(Point).parameters
    assert list(parameters) == ["x", "y"]
    assert parameters["y"].default == 7
    assert inspect.get_annotations(Point.__init__) == {"x": int, "y": int, "return": None}


def test_a_replaced_field_is_the_only_difference() -> None:
    """The original stays as it is; a field that does not exist is refused."""
    point = Point(x=1, y=2)
    assert replace(point, y=3) == Point(x=1, y=3)
    assert replace(point) == point
    assert point.y == 2
    change: Any = replace
    with pytest.raises((TypeError, AttributeError)):
        change(point, z=1)


def test_a_subclass_keeps_its_class() -> None:
    """Also one that the standard library made."""
    moved = replace(Named(x=1, name="there"), x=2)
    assert moved == Named(x=2, name="there")
    assert type(moved) is Named


def test_what_cannot_be_made_this_way_is_refused() -> None:
    """At the class, not at the first object."""
    decorate: Any = dataclass
    with pytest.raises(TypeError, match="frozen=True"):
        decorate(frozen=False, kw_only=True, slots=True)
    with pytest.raises(TypeError, match="defaults must be values"):

        @dataclass(frozen=True, kw_only=True, slots=True)
        class Listing:
            """Has a default that is made anew for each object."""

            items: list[int] = dataclasses.field(default_factory=list)

    with pytest.raises(TypeError, match="__post_init__"):

        @dataclass(frozen=True, kw_only=True, slots=True)
        class Checked:
            """Looks at itself."""

            x: int

            def __post_init__(self) -> None:
                """Never called."""
