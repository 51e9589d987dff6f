"""Folders that are replaced, removed, taken by others and left by crashes, beside a model of them."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ferryman_server.media import atomic_folder
from ferryman_server.media.atomic_folder import FolderRefused, cleared, removed
from tests.server.media.folder_rig import LEFT, Broken, breaks, others, put, put_while, refused, text


class FolderMachine(RuleBasedStateMachine):
    """Folders beside each other, whatever is done to them, are what a dictionary says."""

    names = st.sampled_from(["a", "b", ".ferryman-x"])

    @initialize(one_by_one=st.booleans())
    def begin(self, one_by_one: bool) -> None:
        """An empty place."""
        self.place = TemporaryDirectory()
        self.folder, self.model = Path(self.place.name), dict[str, str | None]()
        self.patch = pytest.MonkeyPatch()
        if one_by_one:
            self.patch.setattr(atomic_folder, "exchange", refused)

    def teardown(self) -> None:
        """Everything as it was."""
        if hasattr(self, "place"):
            self.patch.undo()
            self.place.cleanup()

    @rule(name=names, content=st.sampled_from("xyz"))
    def put(self, name: str, content: str) -> None:
        """Replace one."""
        if self.is_theirs(name):
            with pytest.raises(FolderRefused):
                put(self.folder / name, content)
        else:
            put(self.folder / name, content)
            self.model[name] = content

    @rule(name=names)
    def begin_to_put(self, name: str) -> None:
        """Replacing one goes wrong."""
        with pytest.raises(FolderRefused if self.is_theirs(name) else Broken):
            put_while(self.folder / name, breaks)

    @rule(name=names)
    def remove(self, name: str) -> None:
        """Remove one, or somebody else's."""
        if self.is_theirs(name):
            with pytest.raises(FolderRefused):
                removed(self.folder / name, others)
        else:
            removed(self.folder / name, others)
            self.model.pop(name, None)

    @rule(name=names)
    def take(self, name: str) -> None:
        """Somebody makes a folder their own."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / name).mkdir()
        (self.folder / name / "notes.txt").touch()
        self.model[name] = None

    @rule(name=names, number=st.integers(2, 7))
    def crash(self, name: str, number: int) -> None:
        """A process died between two renames, or before."""
        if self.model.get(name) is None:
            (self.folder / f"{LEFT[:-1]}{number}" / "deep").mkdir(parents=True, exist_ok=True)
        else:
            with suppress(OSError):  # it died twice in the same way
                os.rename(self.folder / name, self.folder / f"{LEFT[:-1]}{number}-was-{name}")

    @invariant()
    def is_as_the_model_says(self) -> None:
        """After the next one has cleared up."""
        if hasattr(self, "place"):
            cleared(self.folder, others)
            there = {name: None if others(self.folder / name) else text(self.folder / name) for name in self.there()}
            assert there == self.model

    def is_theirs(self, name: str) -> bool:
        """Whether it is somebody else's."""
        return name in self.model and self.model[name] is None

    def there(self) -> list[str]:
        """Their names."""
        return os.listdir(self.folder)


TestFolders = FolderMachine.TestCase
TestFolders.settings = settings(max_examples=40)
