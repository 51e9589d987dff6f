"""Keys are made from a template and read by it; what others keep in the bucket is told apart."""

import pytest

from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_server.storage.s3_names import LONGEST, Names
from ferryman_server.storage.testing_rig import ONE, OTHER

AT = 1_795_000_000.0  # seconds since the epoch
TEMPLATES = ("{date}/{id}/{filename}", "{filename}-{id}", "{filename}/{id}", "{year}/{month}/{day}/{id}", "{id}.bin")


def upload(filename: str | None = None, concat: Concat | None = None) -> Upload:
    """One whose key is wanted."""
    return Upload(id=ONE, phase=Phase.EMPTY, filename=filename, concat=concat)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("prefix", ["", "library", "a/b"])
@pytest.mark.parametrize("filename", [None, "film.zip", f"{OTHER}.zip", "-" + OTHER, "x" * 300, "ä" * 200])
def test_a_key_tells_whose_it_is(prefix: str, template: str, filename: str | None) -> None:
    """Whatever the template; a file name that looks like an id is not taken for one."""
    names = Names(prefix, template)
    key = names.target(upload(filename), AT)
    assert len(key.encode()) <= LONGEST
    assert names.id_in(key) == ONE


def test_the_file_name_is_read_from_a_key() -> None:
    """Where the template has one, and the upload had one."""
    assert Names("library").file_name_in(f"library/2026-11-22/{ONE}/a film.mp4") == "a film.mp4"
    assert Names("library").file_name_in(f"library/2026-11-22/{ONE}/upload") is None
    assert Names("library", "{id}.bin").file_name_in(f"library/{ONE}.bin") is None
    assert Names("library").file_name_in(f"library/older/{ONE}") is None


def test_keys_of_an_earlier_template_are_known_by_the_first_id() -> None:
    """The setting was changed; what was stored before stays where it is."""
    assert Names("library").id_in(f"library/older/{ONE}.zip") == ONE
    assert Names("library").id_in("library/notes.txt") is None


@pytest.mark.parametrize("prefix", ["", "library"])
def test_tails_and_partial_uploads_are_ours(prefix: str) -> None:
    """They lie among the store's own objects."""
    names = Names(prefix)
    tail, partial = names.new_tail(ONE, 5), names.target(upload(concat=Concat.PARTIAL), AT)
    assert (names.id_in(tail), names.is_tail(tail), names.is_partial(tail)) == (ONE, True, False)
    assert (names.id_in(partial), names.is_tail(partial), names.is_partial(partial)) == (ONE, False, True)


@pytest.mark.parametrize("prefix", ["", "library"])
def test_another_stores_own_objects_are_not_ours(prefix: str) -> None:
    """One whose prefix lies below ours; and what tells of it."""
    names = Names(prefix)
    inner = Names(f"{names.root}inner")
    assert names.id_in(inner.new_tail(ONE, 0)) is None
    assert names.other_store(inner.identity) == inner.root
    assert names.other_store(names.identity) is None
    assert names.other_store(f"{names.root}film.zip") is None
