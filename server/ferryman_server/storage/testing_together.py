"""What every store is held to that :class:`ferryman_server.storage.base.TakesTogether`."""

from contextlib import closing

import pytest

from ferryman_server.storage.base import Store, StoreError, SyncFailed, TakesTogether, read_all
from ferryman_server.storage.testing_rig import BAD_IDS, ONE, OTHER, THIRD, Rig, RigTests, put, received
from ferryman_server.storage.testing_small import some


class TogetherTests(RigTests):
    """To be inherited beside :class:`ferryman_server.storage.testing.StoreTests`."""

    @pytest.mark.parametrize("count", [0, 1, 2, 40])
    def test_what_is_taken_together_is_durable(self, rig: Rig, count: int) -> None:
        """Each as all of its upload's unpublished bytes; an empty content too."""
        contents = some(count)
        assert take(rig.store, contents) == [None] * count
        rig.power_cut()
        for upload_id, content in contents.items():
            assert received(rig.store, upload_id, len(content)) == content
            assert rig.store.tail(upload_id, 0) == len(content)

    def test_a_content_may_come_in_pieces(self, rig: Rig) -> None:
        """Of any sizes, larger ones than what is written at once among them."""
        pieces = [b"", b"a" * 700_000, b"b", b"", b"c" * 1_300_001]
        assert taking(rig.store).take([(ONE, pieces)]) == [None]
        rig.power_cut()
        assert received(rig.store, ONE, 2_000_002) == b"".join(pieces)

    def test_it_can_be_published_and_settled_like_any_other(self, rig: Rig) -> None:
        """Nobody sees how the bytes came in."""
        take(rig.store, {ONE: b"one", OTHER: b"other"})
        rig.store.publish(ONE, 3)
        rig.power_cut()
        assert read_all(rig.store, ONE, 3) == b"one"
        with closing(rig.store.writer(OTHER, 5)) as writer:
            writer.write(memoryview(b" and more"))
            writer.sync()
        assert received(rig.store, OTHER, 14) == b"other and more"

    def test_what_an_earlier_request_left_is_overwritten(self, rig: Rig) -> None:
        """However much that was."""
        put(rig.store, ONE, b"left by a request that broke off")
        assert take(rig.store, {ONE: b"right"}) == [None]
        rig.power_cut()
        assert rig.store.tail(ONE, 0) == 5
        assert received(rig.store, ONE, 5) == b"right"

    def test_a_failed_sync_is_told_to_each_and_leaves_nothing(self, rig: Rig) -> None:
        """Not a byte that a start after a kill could take for durable."""
        rig.fail_syncs(True)
        outcomes = take(rig.store, {ONE: b"one", THIRD: b"third"})
        assert [type(outcome) for outcome in outcomes] == [SyncFailed, SyncFailed]
        rig.fail_syncs(False)
        assert rig.store.tail(ONE, 0) <= 0
        assert take(rig.store, {ONE: b"one"}) == [None]
        rig.power_cut()
        assert received(rig.store, ONE, 3) == b"one"

    @pytest.mark.parametrize("upload_id", BAD_IDS)
    def test_what_is_no_id_is_not_taken(self, store: Store, upload_id: str) -> None:
        """The last door before the data is shut here too."""
        with pytest.raises(ValueError, match="not an upload id"):
            take(store, {upload_id: b""})


def taking(store: Store) -> TakesTogether:
    """The store, as one that can."""
    assert isinstance(store, TakesTogether)
    return store


def take(store: Store, contents: dict[str, bytes]) -> list[StoreError | None]:
    """Take them all; the outcomes."""
    return list(taking(store).take([(upload_id, [content]) for upload_id, content in contents.items()]))
