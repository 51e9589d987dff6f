"""The walk finds what is an upload's in a bucket of a real MinIO, whatever else lies there."""

import io

from ferryman_server.storage.base import Stray
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.testing_rig import ONE, OTHER
from tests.s3.faults import Answer
from tests.s3.operations import Operation
from tests.s3.proxy import FaultProxy
from tests.server.storage.s3_rig import Place


def put(place: Place, *keys: str) -> None:
    """Store objects of four bytes."""
    for key in keys:
        place.minio.client().put_object(place.bucket, key, io.BytesIO(b"data"), 4)


def test_keys_of_any_characters_are_found(place: Place) -> None:
    """XML cannot hold all of them, and other people's keys are no reason to find nothing."""
    odd = f"library/2026-11-22/{ONE}/a +&<>%20é.zip"
    put(place, odd, "library/con\x01trol\nled")
    (stray,) = place.store().strays()
    assert stray == Stray(upload_id=ONE, published=True, size=4, modified_at=stray.modified_at, place=odd)


def test_other_stores_below_ours_are_passed_over(place: Place) -> None:
    """Also what comes before the sign of them in the order of the keys, once somebody wants to decide about it."""
    inner = Names("library/inner", "{filename}/{id}")
    early = f"library/inner/-a/{OTHER}"
    put(place, inner.identity, early, f"library/inner/b/{OTHER}", inner.new_tail(OTHER, 0), f"library/x/{ONE}/b")
    store = place.store()
    found = {stray.place: stray for stray in store.strays()}
    assert list(found) == [early, f"library/x/{ONE}/b"]
    assert store.label(found[early]) is None
    assert store.label(found[f"library/x/{ONE}/b"]) is not None


def test_a_page_that_fails_is_asked_for_again(place: Place) -> None:
    """A walk of many pages does not begin anew for one of them."""
    put(place, f"library/x/{ONE}/b")
    with FaultProxy(place.minio.endpoint) as proxy:
        other = Place(place.minio, place.bucket, endpoint=proxy.endpoint)
        store = other.store()
        proxy.log.clear()
        proxy.on(Operation.LIST, do=Answer(503, "SlowDown"))
        assert [stray.upload_id for stray in store.strays()] == [ONE]
        assert proxy.log.counts()[Operation.LIST] == 2
        other.close()


def test_a_page_of_the_longest_keys_is_understood(place: Place) -> None:
    """A thousand of them, percent-encoded, are more than a megabyte."""
    name = "ä" * 110
    folders = "/".join([name] * 4)
    keys = [f"library/{folders}/{number:03}-{ONE}" for number in range(400)]
    put(place, *keys)
    assert sorted(stray.place or "" for stray in place.store().strays()) == keys
