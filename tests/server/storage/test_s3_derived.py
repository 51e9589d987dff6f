"""What is made of uploads as objects of a real MinIO: by one PUT, checked, and none of the uploads'."""

import io
from collections.abc import Iterator

import pytest

from ferryman_server.storage import s3_calls
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.s3_sums import summed
from ferryman_server.storage.testing_derived import FIRST, OTHERS, SECOND, DerivedTests, content, deriving
from ferryman_server.storage.testing_rig import Rig
from tests.s3.faults import Answer, ChangeAnswer
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.server.storage.s3_rig import Place


class S3Rig(Rig):
    """A bucket of a MinIO, in which whatever was acknowledged is durable; the proxy fails in the place of a disk."""

    def __init__(self, place: Place) -> None:
        self._proxy = FaultProxy(place.minio.endpoint)
        self._proxy.__enter__()
        self._place = Place(place.minio, place.bucket, endpoint=self._proxy.endpoint)
        self.store = self._place.store()

    def kill(self) -> None:
        """Another process opens the bucket."""
        self.store = self._place.store()

    def power_cut(self) -> None:
        """The same: nothing is volatile here."""
        self.kill()

    def fail_syncs(self, failing: bool) -> None:
        """Let the server refuse what is to be stored, or take it again."""
        if failing:
            self._proxy.on(Operation.PUT, do=Answer(400, "InvalidRequest"), times=None)
        else:
            self._proxy.disarm()

    def close(self) -> None:
        """Let go of the bucket."""
        self._place.close()
        self._proxy.__exit__(None, None, None)


class TestS3Derived(DerivedTests):
    """The inherited suite."""

    @pytest.fixture
    def rig(self, place: Place) -> Iterator[Rig]:
        """A bucket of its own for each test."""
        made = S3Rig(place)
        yield made
        made.close()


def test_the_object_says_what_it_is(place: Place) -> None:
    """People find it below our own prefix, with its media type and the checksum of the whole."""
    store = place.store()
    store.derived.put(FIRST, b"a poster")
    store.derived.put(SECOND, b"a film")
    assert place.keys() == [f"library/.ferryman/derived/{name}" for name in sorted((FIRST, SECOND))]
    for name, made, media_type in ((FIRST, b"a poster", "image/jpeg"), (SECOND, b"a film", "video/mp4")):
        head = s3_calls.head(store._client, f"{place.names.derived}{name}")
        assert head is not None
        assert (head.fields["content-type"], head.size) == (media_type, len(made))
        assert head.has(summed([made]))


def test_it_is_stored_by_one_request(place: Place) -> None:
    """The same again by two, since the server is asked what is there; nothing is replaced by itself."""
    with FaultProxy(place.minio.endpoint) as proxy:
        beside = Place(place.minio, place.bucket, endpoint=proxy.endpoint)
        derived = beside.store().derived
        proxy.clear()
        derived.put(FIRST, b"a poster")
        assert proxy.log.counts() == {Operation.PUT: 1}
        proxy.clear()
        derived.put(FIRST, b"a poster")
        assert proxy.log.counts() == {Operation.PUT: 1, Operation.HEAD: 1}
        beside.close()


def test_a_server_that_is_away_for_a_moment_is_waited_for(place: Place) -> None:
    """Whatever is asked of it; also where only the answer was lost."""
    with FaultProxy(place.minio.endpoint) as proxy:
        beside = Place(place.minio, place.bucket, endpoint=proxy.endpoint)
        derived = beside.store().derived
        for operation in (Operation.PUT, Operation.HEAD, Operation.LIST, Operation.DELETE):
            proxy.on(operation, do=Answer(503, "SlowDown"))
        derived.put(FIRST, b"a poster")
        proxy.on(Operation.PUT, do=ChangeAnswer(503, "SlowDown"))
        derived.put(OTHERS, b"of another")
        assert derived.size(OTHERS) == 10
        assert {kept.place for kept in derived.places()} == {FIRST, OTHERS}
        derived.free(OTHERS)
        assert derived.size(OTHERS) is None
        beside.close()


def test_what_is_not_there_is_told_by_its_key(place: Place) -> None:
    """The store's own error, in words."""
    with pytest.raises(StoreError, match=r"derived/.*poster\.jpg is missing"):
        next(iter(place.store().derived.read(FIRST, 0, 5)))


@pytest.mark.parametrize("template", ["{date}/{id}/{filename}", "{filename}-{id}", "{filename}/{id}"])
@pytest.mark.parametrize("prefix", ["", "library"])
def test_its_keys_are_no_uploads(prefix: str, template: str) -> None:
    """Though they hold ids, and a template may make keys that look like them; nor are those of a store below ours."""
    names = Names(prefix, template)
    inner = Names(f"{names.root}inner")
    assert names.id_in(f"{names.derived}{FIRST}") is None
    assert names.id_in(f"{inner.derived}{FIRST}") is None


def test_the_walk_passes_over_what_others_put_there(place: Place) -> None:
    """Their own names, and what belongs to a store whose prefix is below ours."""
    store, inner = place.store(), Names("library/inner")
    store.derived.put(FIRST, b"a poster")
    for key in (f"{place.names.derived}notes.txt", f"{place.names.derived}old/{FIRST}", f"{inner.derived}{OTHERS}"):
        place.minio.client().put_object(place.bucket, key, io.BytesIO(b"data"), 4)
    assert [kept.place for kept in store.derived.places()] == [FIRST]
    assert list(store.strays()) == []
    assert content(deriving(store), FIRST) == b"a poster"
