"""Small uploads that come whole: complete with one commit, and with every promise of the others."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferryman_protocol.commands import Checksum, Content
from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Phase, Upload
from ferryman_protocol.problems import (
    CHECKSUM_MISMATCH,
    CONTENT_DIGEST_MISMATCH,
    DIGEST_MISMATCH,
    FORBIDDEN,
    STORAGE_UNAVAILABLE,
    Problem,
    Refused,
)
from ferryman_server.auth import Action, Allow, Caller, Refuse
from ferryman_server.refusals import Declined
from ferryman_server.state.base import StateError
from ferryman_server.storage.base import StoreError
from ferryman_server.uploads import Uploads
from tests.server.small_rig import LENGTH, WHOLE, assert_complete, files, readable, redo, request_of
from tests.support.core import RUFH, Core, Disk, Feed, ids, running, store_of

GOOD = Digests(values=(("sha-256", hashlib.sha256(WHOLE).digest()),))
BAD = Digests(values=(("sha-256", bytes(32)),))


@pytest.fixture(params=["memory", "local"])
async def core(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Core]:
    """A running core on a store of each kind; nothing is written out unless a test does it."""
    store = store_of(request.param, tmp_path)
    async with running(Disk(tmp_path, store)) as made:
        yield made


# one commit


async def test_an_upload_that_comes_whole_is_complete_with_one_commit(core: Core) -> None:
    """Its content rides with its row: the store writes nothing before the settler tells it to."""
    upload_id = await core.created(LENGTH)
    before = core._sqlite.batches
    reply = await core.append(upload_id, 0, Feed(WHOLE))
    assert core._sqlite.batches == before + 1
    assert (reply.status, dict(reply.headers)["Upload-Offset"]) == (204, str(LENGTH))
    await assert_complete(core, upload_id)
    assert files(core) == []
    assert await redo(core) == {upload_id: WHOLE}
    assert await core.house.settler.settle()
    await assert_complete(core, upload_id)
    assert files(core) == [upload_id]
    assert await redo(core) == {}


@pytest.mark.parametrize("whole", [WHOLE, b"", b"1"])
async def test_a_creation_that_brings_all_of_it_is_that_commit_itself(core: Core, whole: bytes) -> None:
    """No row of it ever says anything but `complete`."""
    before = core._sqlite.batches
    reply = await core.create(len(whole), Feed(whole))
    assert core._sqlite.batches == before + 1
    assert (reply.status, dict(reply.headers)["Upload-Offset"]) == (201, str(len(whole)))
    upload_id = dict(reply.headers)["Location"].rpartition("/")[2]
    await assert_complete(core, upload_id, whole)
    await core.house.settler.settle()
    await assert_complete(core, upload_id, whole)


async def test_an_empty_upload_is_complete_by_its_creation(core: Core) -> None:
    """Without a body: Upload-Length: 0 says it all."""
    await assert_complete(core, await core.created(0), b"")


async def test_an_ietf_creation_is_announced_when_there_is_something_at_its_url(core: Core) -> None:
    """104 and 201 tell the same Location; the row was complete before either."""
    reply = await core.create(None, Feed(WHOLE), dialect=RUFH, completes=True)
    fields = dict(reply.headers)
    assert (reply.status, fields["Upload-Complete"], fields["Upload-Offset"]) == (201, "?1", str(LENGTH))
    (announced,) = core.told
    assert dict(announced.headers)["Location"] == fields["Location"]
    await assert_complete(core, fields["Location"].rpartition("/")[2])


async def test_an_ietf_append_that_completes_an_empty_upload_is_small_too(core: Core) -> None:
    """`Upload-Complete: ?1` is completion; without it the same bytes are a part, and go the ordinary way."""
    one, other = await core.created(dialect=RUFH), await core.created(dialect=RUFH)
    reply = await core.append(one, 0, Feed(WHOLE), dialect=RUFH, completes=True)
    assert dict(reply.headers)["Upload-Complete"] == "?1"
    await assert_complete(core, one)
    await core.append(other, 0, Feed(WHOLE), dialect=RUFH)
    assert await core.phase(other) is Phase.RECEIVING
    assert list(await redo(core)) == [one]


async def test_a_deferred_length_may_come_with_the_whole(core: Core) -> None:
    """Also one of 0 bytes."""
    for whole in (WHOLE, b""):
        upload_id = await core.created(None)
        await core.append(upload_id, 0, Feed(whole), length=len(whole))
        await assert_complete(core, upload_id, whole)


@pytest.mark.parametrize("way", ["create", "append"])
async def test_events_and_figures_are_told_after_the_commit(core: Core, way: str) -> None:
    """Each once, in order, and as for every other upload."""
    upload_id = await core.created(LENGTH, feed=Feed(WHOLE) if way == "create" else None)
    if way == "append":
        await core.append(upload_id, 0, Feed(WHOLE))
    assert [event.name for event in core.events] == ["created", "progress", "complete"]
    assert dict(core.events[1].data) == {"offset": LENGTH, "length": LENGTH}
    assert dict(core.events[2].data) == {"length": LENGTH}
    text = core.house.metrics.render()[0].decode()
    assert f'ferryman_received_bytes_total{{dialect="tus"}} {float(LENGTH)}' in text
    assert f"ferryman_stored_bytes_total {float(LENGTH)}" in text
    assert core.house.claims.holder(upload_id) is None


async def test_nobody_sees_it_complete_before_its_bytes_can_be_read(core: Core) -> None:
    """Whoever looks at the row at any moment finds the bytes that it tells."""
    uploads = [await core.created(5) for _ in range(30)]
    seen: set[str] = set()

    async def look() -> None:
        while len(seen) < len(uploads):
            for upload_id in uploads:
                record = await core.house.state.get(upload_id)
                assert record is not None
                if record.upload.phase is Phase.COMPLETE:
                    assert readable(core, upload_id, 5) == b"bytes"
                    seen.add(upload_id)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    settling_now = asyncio.create_task(settle_often(core))
    await asyncio.gather(*(core.append(upload_id, 0, Feed(b"bytes")) for upload_id in uploads))
    await asyncio.wait_for(looking, 10)
    settling_now.cancel()
    await asyncio.wait([settling_now])


async def settle_often(core: Core) -> None:
    """Write out whatever there is, again and again."""
    while True:
        assert await core.house.settler.settle()
        await asyncio.sleep(0)


# what is refused


@pytest.mark.parametrize("way", ["create", "append"])
@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"checksum": Checksum(algorithm="sha1", digest=bytes(20))}, CHECKSUM_MISMATCH),
        ({"digests": BAD}, CONTENT_DIGEST_MISMATCH),
    ],
)
async def test_a_body_with_a_wrong_digest_stores_nothing(core: Core, way: str, fields: Any, kind: Any) -> None:
    """The upload is as empty as it was, or was never made."""
    request = Content(length=LENGTH, **fields)
    upload_id = await sent(core, way, request, kind)
    if upload_id is not None:
        record = await core.record(upload_id)
        assert (record.upload.phase, record.upload.offset, record.adoptable) == (Phase.EMPTY, 0, True)
        await core.append(upload_id, 0, Feed(WHOLE))
        await assert_complete(core, upload_id)


async def sent(core: Core, way: str, request: Content, kind: Any, **more: Any) -> str | None:
    """Send WHOLE so that it is refused; the upload that is still there, if any, with nothing of it stored."""
    upload_id = await core.created(LENGTH) if way == "append" else None
    with pytest.raises((Declined, Refused)) as refused:
        await request_of(core, upload_id, request, **more)
    assert isinstance(refused.value, Declined | Refused)
    assert refused.value.problem.kind is kind
    assert files(core) == []
    assert await redo(core) == {}
    assert sum((await core.house.state.counts()).values()) == (way == "append")
    assert ids(core.events, "complete") == []
    return upload_id


@pytest.mark.parametrize("way", ["create", "append"])
async def test_right_digests_let_it_through(core: Core, way: str) -> None:
    """The body's own, and the whole upload's."""
    sha1 = Checksum(algorithm="sha1", digest=hashlib.sha1(WHOLE).digest())
    request = Content(length=LENGTH, checksum=sha1, digests=GOOD)
    upload_id = await core.created(LENGTH) if way == "append" else None
    reply = await request_of(core, upload_id, request, repr_digests=GOOD)
    upload_id = upload_id or dict(reply.headers)["Location"].rpartition("/")[2]
    record = await assert_complete(core, upload_id)
    assert record.repr_digests == GOOD
    assert list(await redo(core)) == [upload_id]


@pytest.mark.parametrize("way", ["create", "append"])
async def test_a_wrong_digest_of_the_whole_is_a_verdict(core: Core, way: str) -> None:
    """The upload has failed with its reason, and nothing can be read; a creation makes none."""
    upload_id = await sent(core, way, Content(length=LENGTH), DIGEST_MISMATCH, repr_digests=BAD)
    if upload_id is not None:
        upload = (await core.record(upload_id)).upload
        assert upload.phase is Phase.FAILED
        assert "sha-256" in (upload.reason or "")
        assert ids(core.events, "failed") == [upload_id]
        with pytest.raises(StoreError):
            readable(core, upload_id, LENGTH)


async def test_the_digest_that_a_client_wants_is_that_of_the_whole(core: Core) -> None:
    """`Want-Repr-Digest` is answered from memory as well as from a file."""
    reply = await core.create(LENGTH, Feed(WHOLE), want_repr_digests=("sha-256",))
    assert "sha-256=" in dict(reply.headers)["Repr-Digest"]


@pytest.mark.parametrize("way", ["create", "append"])
async def test_the_guard_has_the_last_word(core: Core, way: str) -> None:
    """It is asked when all is there and nothing is stored; after its no, nothing is."""
    asked: list[Upload | None] = []

    async def guard(caller: Caller, action: Action, upload: Upload | None) -> Allow | Refuse:
        if action is not Action.FINISH:
            return Allow()
        asked.append(upload)
        return Allow() if len(asked) > 1 else Refuse(problem=Problem(kind=FORBIDDEN, detail="not today"))

    core.house = replace(core.house, guard=guard)
    core.uploads = Uploads(core.house)
    upload_id = await sent(core, way, Content(length=LENGTH), FORBIDDEN)
    assert [upload.phase for upload in asked if upload is not None] == [Phase.EMPTY]
    if upload_id is not None:
        await core.append(upload_id, 0, Feed(WHOLE))
        await assert_complete(core, upload_id)


@pytest.mark.parametrize("way", ["create", "append"])
async def test_a_commit_that_fails_leaves_nothing(core: Core, way: str) -> None:
    """503; what was held in memory is let go of, and the request may be repeated."""
    name = "create" if way == "create" else "save"
    upload_id = await core.created(LENGTH) if way == "append" else None

    async def fails(*args: Any, **kwargs: Any) -> None:
        raise StateError("the disk is full")

    core.house.state.__dict__[name] = fails
    with pytest.raises((Declined, StateError)) as failed:
        await request_of(core, upload_id, Content(length=LENGTH))
    del core.house.state.__dict__[name]
    if upload_id is not None:
        assert isinstance(failed.value, Declined)
        assert failed.value.problem.kind is STORAGE_UNAVAILABLE
        with pytest.raises(StoreError, match="missing"):
            readable(core, upload_id, LENGTH)
        await core.append(upload_id, 0, Feed(WHOLE))
        await assert_complete(core, upload_id)
    assert len(core.house.settler) == (way == "append")
