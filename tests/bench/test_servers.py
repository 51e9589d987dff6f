"""Which servers are compared, and what is said of those that are not here."""

import json
from pathlib import Path

import pytest

from bench.bucket import Bucket
from bench.errors import CannotMeasure
from bench.native import HERE
from bench.servers import Missing, chosen, known

RIVALS = {"tusd": "go install", "tus-node-server": "make bench", "tuspyserver": "make env"}


def everything(name: str, wanted: list[str]) -> bool:
    """Nothing is left out."""
    return bool(name) and bool(wanted)


def test_every_rival_that_is_not_here_is_named_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with none of them, all of them are in the list of the missing."""
    known()  # the floor is compiled now: the compiler leaves the PATH too
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    servers, missing = chosen(["*"], everything)
    assert {each.name for each in missing} == set(RIVALS)
    assert all(RIVALS[each.name] in each.why for each in missing)
    assert {each.kind for each in servers} == {"ours", "floor"}


def test_node_server_without_its_packages_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Node alone is not enough, and the word says what puts the packages there."""
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v22.1.0\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("bench.servers.HERE", tmp_path)
    (found,) = (each for each in known() if each.name == "tus-node-server")
    assert isinstance(found, Missing)
    assert "scripts/js-packages bench" in found.why


def test_old_node_is_no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages need version 20."""
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v18.20.0\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (found,) = (each for each in known() if each.name == "tus-node-server")
    assert isinstance(found, Missing)
    assert "Node 20 or newer" in found.why


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    """A slip of the fingers does not measure nothing."""
    with pytest.raises(CannotMeasure, match=r"no server is called x; there are: ferryman, .*floor-none"):
        chosen(["x"], lambda name, wanted: False)


def test_into_minio_go_ours_tusd_and_what_goes_straight_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but the last stores on the disk too."""
    tusd = tmp_path / "tusd"
    tusd.write_text("#!/bin/sh\necho Version: v2.9.9\n")
    tusd.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    servers, _ = chosen(["*"], everything)
    assert {each.name for each in servers if each.into_bucket} == {"ferryman", "tusd", "straight", "straight-checked"}
    assert {each.name for each in servers if not each.command} == {"straight", "straight-checked"}


def test_servers_are_told_the_bucket() -> None:
    """Bucket and endpoint on the command line; keys are not there, where everybody on the machine could read them."""
    bucket = Bucket(name="some-bucket", port=9, pid=1, access_key="a-user", secret_key="a-secret")
    (ours,), _ = chosen(["ferryman"], lambda name, wanted: name in wanted)
    assert ours.into_bucket is not None
    told = ours.into_bucket(1080, Path("data"), bucket)
    assert told[-4:] == ["--store", "s3://some-bucket/bench", "--s3-endpoint", "http://127.0.0.1:9"]
    assert "a-secret" not in told
    assert bucket.environment()["AWS_SECRET_ACCESS_KEY"] == "a-secret"


def test_lock_of_the_node_packages_holds_what_is_asked_for_by_hash_and_names_no_address() -> None:
    """As the other lock files of the repository."""
    package = json.loads((HERE / "package.json").read_text())
    lock = json.loads((HERE / "package-lock.json").read_text())
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
