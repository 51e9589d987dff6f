"""`ferryman inspect` says of a file what the server would say of it as an upload."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ferryman_cli import main
from tests.zips.build import Archive, Member
from tests.zips.film import FRAMES
from tests.zips.producers import archive


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ferryman.toml of somebody else's is in the way."""
    monkeypatch.chdir(tmp_path)


def written(data: bytes) -> str:
    """A file with these bytes."""
    Path("some.zip").write_bytes(data)
    return "some.zip"


def inspected(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON document."""
    code = main(["inspect", "--json", *argv])
    return code, json.loads(capsys.readouterr().out)


def members(*names: str) -> Sequence[Member]:
    """Files whose content is their name."""
    return [Member(name.encode(), name.encode()) for name in names]


def test_frames_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """An archive of frames is accepted, and says how many there are and what they are."""
    code, told = inspected(capsys, str(archive("python-store")))
    assert code == 0
    assert (told["verdict"], told["reason"]) == ("accept", None)
    assert len(told["entries"]) == FRAMES + 1
    frames = told["frames"]
    assert (frames["ok"], frames["reason"], frames["count"]) == (True, None, FRAMES)
    assert frames["format"] == "rgb565le"


def test_an_ordinary_archive_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict judges the archive alone; why it holds no frames is told beside it, with what is in it."""
    code, told = inspected(capsys, written(Archive(members("a.txt", "b.txt")).to_bytes()))
    assert (code, told["verdict"]) == (0, "accept")
    digest = hashlib.sha256(b"a.txt").hexdigest()
    assert told["entries"][0] == {"name": "a.txt", "size": 5, "sha256": digest}
    assert (told["frames"]["ok"], told["frames"]["count"]) == (False, 0)
    assert "metadata.json" in told["frames"]["reason"]


def test_a_bad_archive_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal names the entry and has exit code 1."""
    code, told = inspected(capsys, written(Archive(members("a.txt", "../b.txt")).to_bytes()))
    assert (code, told["verdict"], told["frames"]["ok"]) == (1, "refuse", False)
    assert "../b.txt" in told["reason"]
    assert [entry["name"] for entry in told["entries"]] == ["a.txt"]


def test_people_get_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json the verdict is text."""
    assert main(["inspect", str(archive("python-store"))]) == 0
    assert capsys.readouterr().out.startswith("accepted: 41 entries")
    assert main(["inspect", written(b"no archive")]) == 1
    assert capsys.readouterr().out.startswith("refused: ")


def test_limits_are_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """What the server is allowed is what is inspected with."""
    assert main(["inspect", "--zip-entries", "1", written(Archive(members("a.txt", "b.txt")).to_bytes())]) == 1
    assert "zip_entries" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["missing.zip", "."])
def test_what_cannot_be_read_is_no_verdict(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A missing file or a folder has exit code 2 and words on standard error."""
    assert main(["inspect", name]) == 2
    assert "cannot be read" in capsys.readouterr().err
