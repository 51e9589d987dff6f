"""Listeners that come back: they go on where they were, or learn how things stand."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.server.event_rig import Rig, running
from tests.support.core import until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """An application on an empty folder."""
    async with running(tmp_path) as made:
        yield made


@pytest.mark.parametrize("by", ["field", "query", "both"])
async def test_a_listener_goes_on_where_it_was(rig: Rig, by: str) -> None:
    """By the field, which browsers send when they come back, or by the URL; the field counts more."""
    client = await rig.listen()
    for number in range(5):
        rig.tell("created", number=number)
    await until(lambda: len(client.heard) == 6)
    ids = [heard.id for heard in client.heard]
    await client.leave()
    rig.tell("created", number=5)
    last, early = str(ids[3]), str(ids[1])
    fields = {} if by == "query" else {"Last-Event-ID": last}
    query = "" if by == "field" else urlencode({"last_event_id": last if by == "query" else early})
    back = await rig.listen(fields=fields, query=query)
    rig.tell("created", number=6)
    await until(lambda: len(back.heard) == 4)
    assert [heard.data["number"] for heard in back.heard] == [3, 4, 5, 6]


async def test_a_listener_that_missed_nothing_hears_nothing(rig: Rig) -> None:
    """Its stream begins all the same."""
    client = await rig.listen()
    await client.hears("reset")
    back = await rig.listen(fields={"Last-Event-ID": str(client.heard[0].id)})
    assert (back.status, back.reader.retry, back.heard) == (200, 2000, [])
    rig.tell("created")
    await back.hears("created")


async def test_a_listener_that_comes_back_hears_how_far_uploads_are(rig: Rig) -> None:
    """As far as others have been told it meanwhile."""
    other, client = await rig.listen(), await rig.listen()
    upload_id = await rig.upload()
    await client.hears("reset", "created")
    await client.leave()
    await rig.append(upload_id, 0, b"12345")
    await other.hears("reset", "created", "progress")
    back = await rig.listen(fields={"Last-Event-ID": str(client.heard[-1].id)}, listener=client.listener)
    await back.hears("progress")
    assert back.listener.view[upload_id]["offset"] == 5


@pytest.mark.parametrize("last", ["0", "1", "9" * 16, "9" * 40, "-1", "x", "%00", "1.5", "\u0661"])
@pytest.mark.parametrize("by", ["field", "query"])
async def test_an_id_that_is_not_known_begins_anew(rig: Rig, last: str, by: str) -> None:
    """Too old, of another database, or no number at all."""
    rig.tell("created")
    fields = {"Last-Event-ID": last} if by == "field" else {}
    client = await rig.listen(fields=fields, query="" if by == "field" else urlencode({"last_event_id": last}))
    await client.hears("reset")


async def test_a_new_process_goes_on_with_what_it_finds(tmp_path: Path) -> None:
    """After a graceful end listeners have missed nothing but what they are told now."""
    async with running(tmp_path) as rig:
        client = await rig.listen()
        one = await rig.upload(b"one")
        await client.hears("reset", "created", "complete")
        await client.leave()
        two = await rig.upload()
    async with running(tmp_path) as rig:
        back = await rig.listen(fields={"Last-Event-ID": str(client["created"][0].id)})
        await rig.append(two, 0, b"x" * 100)
        await back.hears("complete", "created", "complete")
        assert [heard.data["upload"] for heard in back.heard] == [one, two, two]
