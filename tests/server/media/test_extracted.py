"""An extracted folder says what is in it, and is known again; nobody else's is taken for one."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ferryman_server.media.atomic_folder import FolderRefused
from ferryman_server.media.extracted import Mark, mark_of
from ferryman_server.media.metadata import parse_metadata
from tests.server.media.extraction_rig import described, extract, extraction, files
from tests.server.media.stored_entries import ID


def test_what_the_folder_says_of_itself(tmp_path: Path) -> None:
    """What a player needs, by the fields that archives have; and whose it is."""
    work = extraction(tmp_path / "film", 3, 4)
    extract(replace(work, medium=replace(work.medium, title="Nacht\u2028und\x07 Tag " + "x" * 300)))
    said = parse_metadata((tmp_path / "film" / "metadata.json").read_bytes())
    assert (said.width, said.height, said.format, said.fps, said.frames) == (4, 3, "rgb565le", 12.5, 3)
    assert said.title == ("Nacht und  Tag " + "x" * 300)[:200]
    assert mark_of(tmp_path / "film") == Mark("film", 4, ID, work.store_id)
    assert described(tmp_path / "film")["extracted_by"] == "ferryman"


@pytest.mark.parametrize(
    "said",
    [
        None,
        "{}",
        "[]",
        "no JSON",
        "[" * 100_000,
        '{"extracted_by": "somebody"}',
        '{"extracted_by": ["ferryman"]}',
        json.dumps({"extracted_by": "ferryman", "filler": "x" * (1 << 20)}),
    ],
)
def test_a_folder_without_our_mark_is_not_ours(tmp_path: Path, said: str | None) -> None:
    """Whatever it holds: it stays as it is, and has no mark."""
    folder = tmp_path / "film"
    (folder / "frames").mkdir(parents=True)
    if said is not None:
        (folder / "metadata.json").write_text(said)
    with pytest.raises(FolderRefused, match=r"metadata\.json"):
        extract(extraction(folder))
    assert mark_of(folder) is None
    assert sorted(os.listdir(folder)) == (["frames"] if said is None else ["frames", "metadata.json"])


@pytest.mark.parametrize("name", ["notes.txt", ".git", "frames2"])
def test_a_folder_of_ours_with_something_of_somebody_elses_is_not_ours(tmp_path: Path, name: str) -> None:
    """It would be deleted with it. What systems put in by themselves does not count."""
    folder = tmp_path / "film"
    extract(extraction(folder, 1))
    (folder / ".DS_Store").touch()
    extract(extraction(folder, 2))
    (folder / name).mkdir()
    with pytest.raises(FolderRefused, match=f"holds {name}, which ferryman did not put there"):
        extract(extraction(folder, 3))
    assert len(files(folder)) == 2


def test_links_in_a_folder_are_not_ours(tmp_path: Path) -> None:
    """They may lead anywhere."""
    other, folder = tmp_path / "other", tmp_path / "film"
    extract(extraction(other, 1))
    folder.mkdir()
    (folder / "metadata.json").symlink_to(other / "metadata.json")
    assert mark_of(folder) is None
    with pytest.raises(FolderRefused, match=r"holds metadata\.json"):
        extract(extraction(folder))
    assert len(files(other)) == 1
