"""A Hypothesis machine that holds what is made of uploads against a dictionary, through kills, power cuts and failing
disks: whatever was put is there, all of it, until it is freed. Needs Hypothesis. A backend overrides `make_rig` and
hands `<Subclass>.TestCase` to pytest.
"""

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ferryman_server.storage.base import StoreError
from ferryman_server.storage.testing_derived import FIRST, LATER, OTHERS, SECOND, content, deriving
from ferryman_server.storage.testing_rig import Rig

_PLACES: Final = st.sampled_from((FIRST, SECOND, LATER, OTHERS))
_CONTENTS: Final = st.one_of(st.binary(max_size=40), st.binary(min_size=1, max_size=3).map(lambda unit: unit * 5000))
_FAR: Final = 1e12  # seconds since the epoch: whatever was left half written is old by then


class DerivedMachine(RuleBasedStateMachine):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, bytes] = {}

    def make_rig(self) -> Rig:
        """A rig with an empty store; to be overridden by each backend."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        """Start with an empty store."""
        self.rig = self.make_rig()

    def teardown(self) -> None:
        """Free the rig."""
        if hasattr(self, "rig"):
            self.rig.close()

    @rule(place=_PLACES, made=_CONTENTS)
    def put(self, place: str, made: bytes) -> None:
        """Where something is or not."""
        deriving(self.rig.store).put(place, made)
        self.held[place] = made

    @rule(place=_PLACES, made=_CONTENTS)
    def put_in_vain(self, place: str, made: bytes) -> None:
        """The disk fails: what was there stays."""
        self.rig.fail_syncs(True)
        with pytest.raises(StoreError):
            deriving(self.rig.store).put(place, made)
        self.rig.fail_syncs(False)

    @rule(place=_PLACES)
    def free(self, place: str) -> None:
        """What is there, or what is not."""
        deriving(self.rig.store).free(place)
        self.held.pop(place, None)

    @rule(place=_PLACES, start=st.integers(0, 20_000), stop=st.integers(0, 20_000))
    def read(self, place: str, start: int, stop: int) -> None:
        """A range that is there, or not."""
        pieces = deriving(self.rig.store).read(place, start, stop)
        held = self.held.get(place)
        if held is not None and start <= stop <= len(held):
            assert b"".join(bytes(piece) for piece in pieces) == held[start:stop]
        elif start < stop:
            with pytest.raises(StoreError):
                next(iter(pieces))

    @rule(now=st.sampled_from((0.0, _FAR)))
    def tidy(self, now: float) -> None:
        """Nothing is left half written while nobody is killed amid it."""
        assert deriving(self.rig.store).tidy(now) == 0

    @rule()
    def kill(self) -> None:
        """Another process goes on."""
        self.rig.kill()

    @rule()
    def power_cut(self) -> None:
        """Only what is durable is left."""
        self.rig.power_cut()

    @invariant()
    def all_is_there(self) -> None:
        """And nothing else is."""
        if hasattr(self, "rig"):
            derived = deriving(self.rig.store)
            assert {kept.place: kept.size for kept in derived.places()} == {
                place: len(made) for place, made in self.held.items()
            }
            assert {place: content(derived, place) for place in self.held} == self.held
            assert list(self.rig.store.strays()) == []
