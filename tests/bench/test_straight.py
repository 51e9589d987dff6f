"""The floor for MinIO: what it puts there is what a server would have to put there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.bodies import body_for
from bench.bucket import Bucket, Depot
from bench.check import check_objects
from bench.errors import CannotMeasure
from bench.scenarios import KIB, MIB, Scenario
from bench.straight import putting
from tests.bench.made_up import scenario


@pytest.fixture(scope="module")
def depot(minio_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Depot]:
    """A MinIO of the bench."""
    with Depot(tmp_path_factory.mktemp("minio")) as depot:
        yield depot


@pytest.fixture
def bucket(depot: Depot) -> Iterator[Bucket]:
    """An empty bucket on it."""
    with depot.bucket() as bucket:
        yield bucket


def put(load: Scenario, bucket: Bucket, folder: Path) -> float:
    """Put what the scenario says; the seconds it took."""
    with putting(load, body_for(load), folder, bucket) as told:
        assert told["bytes"] == load.count * load.size
        return float(told["seconds"])


@pytest.mark.parametrize(
    ("count", "size", "in_flight", "requests"),
    [
        pytest.param(1, 33 * MIB + 3, 2, 3, id="parts"),
        pytest.param(1, 16 * MIB, 2, 1, id="one part's worth"),
        pytest.param(40, KIB, 16, 40, id="objects"),
    ],
)
def test_objects_are_right(
    count: int, size: int, in_flight: int, requests: int, bucket: Bucket, tmp_path: Path
) -> None:
    """Byte for byte, in parts or whole; parts make one object."""
    load = scenario(count=count, size=size, in_flight=in_flight, into="minio")
    with putting(load, body_for(load), tmp_path, bucket) as told:
        assert told["requests"] == requests
        assert told["seconds"] > 0
    check_objects(bucket, count=count, size=size, content=body_for(load).content)
    assert len(list(bucket.client().list_objects(bucket.name))) == count


def test_checksums_are_those_of_the_bytes(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MinIO takes what is checked, and refuses it when another checksum is sent with it."""
    for size in (33 * MIB + 3, KIB):
        load = scenario(count=1, size=size, into="minio")
        with putting(load, body_for(load), tmp_path, bucket, checked=True):
            pass
        monkeypatch.setattr("awscrt.checksums.crc32c", lambda piece, crc: 1)
        with (
            pytest.raises(CannotMeasure, match="400"),
            putting(load, body_for(load), tmp_path, bucket, checked=True),
        ):
            pass
        monkeypatch.undo()


def test_wrong_object_is_found(bucket: Bucket, tmp_path: Path) -> None:
    """The check after a turn looks at content: at MinIO's digest of one PUT, and at the bytes of what came in parts."""
    for size in (KIB, 17 * MIB):
        load = scenario(count=1, size=size, into="minio")
        put(load, bucket, tmp_path)
        wrong = tmp_path / "wrong"
        wrong.write_bytes(bytes(MIB))
        with pytest.raises(CannotMeasure, match="of 1 uploads it holds only 0"):
            check_objects(bucket, count=1, size=size, content=wrong)


def test_refusal_is_told(bucket: Bucket, tmp_path: Path) -> None:
    """A bucket that is not there: MinIO's own words, for parts and for objects."""
    gone = Bucket(**{name: getattr(bucket, name) for name in Bucket.__dataclass_fields__} | {"name": "no-such-bucket"})
    for size in (KIB, 20 * MIB):
        with pytest.raises(CannotMeasure, match="404"):
            put(scenario(count=1, size=size, into="minio"), gone, tmp_path)
