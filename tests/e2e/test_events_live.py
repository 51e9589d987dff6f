"""Events from a real server, heard by a real client through kills, stops and everything between."""

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ferryman_server.event_hub import LISTENERS
from tests.support.browser import see
from tests.support.ears import Ears
from tests.support.listening import Heard, Listener
from tests.support.probing import descriptors, unharmed
from tests.support.process import Server, eventually, serving
from tests.support.raw_http import RawClient, head
from tests.support.uploading import append, create, delete, id_of, observed

GRACE: Final = 10.0  # seconds that the server gives requests under way, by default
TUS: Final = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
BREAKS: Final = ("net::ERR_",)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test alone."""
    with serving(tmp_path / "data") as running:
        yield running


def upload(server: Server, size: int = 5, client: httpx.Client | None = None) -> str:
    """A small upload, whole; its id."""
    post = httpx.post if client is None else client.post
    answer = post(server.files, headers={**TUS, "Upload-Length": str(size)}, content=b"x" * size)
    assert answer.status_code == 201
    return id_of(answer.headers["location"])


def about(heard: list[Heard], upload_id: str) -> list[str]:
    """The names of the events about this upload."""
    return [each.name for each in heard if each.data.get("upload") == upload_id]


def await_row(server: Server, heard: Heard) -> None:
    """Wait until an event is stored."""
    with closing(sqlite3.connect(f"{(server.data / 'state.db').as_uri()}?mode=ro", uri=True)) as database:
        eventually(lambda: database.execute("SELECT 1 FROM events WHERE seq = ?", (heard.id,)).fetchone() is not None)


def await_upload(server: Server, size: int) -> None:
    """Wait until there is a complete upload of so many bytes."""

    def there() -> bool:
        rows = httpx.get(f"{server.url}/api/uploads").json()["uploads"]
        return any(row["phase"] == "complete" and row["length"] == size for row in rows)

    eventually(there, timeout=30)


def current(server: Server) -> dict[str, int]:
    """The uploads that are not over, and their offsets, as the list tells them."""
    rows = httpx.get(f"{server.url}/api/uploads", params={"limit": 500}).json()["uploads"]
    return {row["id"]: row["offset"] for row in rows if row["phase"] in ("empty", "receiving", "finishing", "waiting")}


def test_what_happens_is_heard_as_it_happens(server: Server) -> None:
    """By everybody who listens, and by those who listen to one upload only of that."""
    path = create(server, "tus", length=10)
    one = id_of(path)
    with unharmed(server), Ears(server) as ears, Ears(server, f"/api/uploads/{one}/events") as own:
        assert append(server, "tus", path, 0, b"12345").status == 204
        ears.hears(lambda heard: "progress" in about(heard, one))
        other = upload(server)
        assert append(server, "tus", path, 5, b"67890").status == 204
        own.hears(lambda heard: "complete" in about(heard, one))
        assert delete(server, "tus", path) == 204
        ears.hears(lambda heard: "terminated" in about(heard, one))
        own.await_end()
        assert [name for name in about(ears.heard, one) if name != "progress"] == ["complete", "terminated"]
        assert about(ears.heard, other) == ["created", "complete"]
        assert {each.data.get("upload", one) for each in own.heard} == {one}
        assert own.names()[-1] == "terminated"
        assert own.listen().status == 204


def test_after_a_kill_a_listener_hears_what_was_stored_and_then_how_things_stand(server: Server) -> None:
    """Numbers go on rising; nobody believes in an upload that is over, or in one that is not."""
    with Ears(server) as ears:
        done, path = upload(server), create(server, "tus", length=10)
        ears.hears(lambda heard: "created" in about(heard, id_of(path)))
        place = len(ears.heard)
        first = ears.heard[place - 3]  # `created` of the one that is done
        assert (first.name, first.data["upload"]) == ("created", done)
        await_row(server, ears.heard[-1])
        server.kill()
        ears.await_end()
        server.restart()
        ears.listener.last_id = first.id
        ears.listen()
        ears.hears(lambda heard: "reset" in ears.names(place))
        assert ears.names(place)[:3] == ["complete", "created", "reset"]
        assert ears.heard[place + 2].id > ears.heard[place - 1].id  # type: ignore[operator]
        assert {upload_id: row["offset"] for upload_id, row in ears.listener.view.items()} == current(server)
        again = upload(server)
        ears.hears(lambda heard: "complete" in about(heard, again))
        assert ears.names(place + 3) == ["created", "complete"]


def test_kills_at_any_moment_leave_listeners_with_the_truth(server: Server) -> None:
    """Also when the last events never became rows: who heard them is told how things stand. No number comes twice."""
    numbers: dict[int, Any] = {}
    with Ears(server) as ears, Ears(server) as late:
        for _ in range(4):
            with ThreadPoolExecutor(4) as pool:
                paths = list(pool.map(lambda _: create(server, "tus", length=10), range(8)))
                list(pool.map(lambda path: append(server, "tus", path, 0, b"1234567890"), paths[:4]))
            server.kill()
            for each in (ears, late):
                each.await_end()
            server.restart()
            ears.listen()
            assert ears.status == 200
            eventually(lambda: set(ears.listener.view) == set(current(server)))
        late.listen()
        eventually(lambda: set(late.listener.view) == set(current(server)))
        for heard in (*ears.heard, *late.heard):
            if heard.id is not None and heard.name != "reset":
                assert numbers.setdefault(heard.id, heard.data) == heard.data


def test_a_graceful_stop_loses_nothing_and_does_not_wait_for_listeners(server: Server) -> None:
    """What was told in the last moment is there for those who come back, without a reset."""
    with Ears(server) as ears, Ears(server) as other:
        path = create(server, "tus", length=10)
        with Ears(server, f"/api/uploads/{id_of(path)}/events") as own:
            one = upload(server)
            began = time.monotonic()
            assert server.stop() == 0, server.log()
            assert time.monotonic() - began < GRACE / 2
            for each in (ears, other, own):
                each.await_end()
        assert "timeout graceful shutdown exceeded" not in server.log()
        server.restart()
        place = len(ears.heard)
        ears.listen()
        other.heard.clear()
        other.listener = Listener()
        other.listen()
        two = upload(server)
        ears.hears(lambda heard: "complete" in about(heard, two))
        assert about(ears.heard, one) == ["created", "complete"]
        assert "reset" not in ears.names(place)
        other.hears(lambda heard: "complete" in about(heard, two))
        assert set(other.listener.view) == {id_of(path)}


def test_many_small_uploads_are_all_heard_once_and_in_order(server: Server) -> None:
    """By several listeners, while they come as fast as they can; and again by one that was not there."""
    with Ears(server) as ears, Ears(server) as other, ThreadPoolExecutor(8) as pool, httpx.Client() as client:
        ids = set(pool.map(lambda _: upload(server, client=client), range(400)))
        for each in (ears, other):
            each.hears(lambda heard: sum(event.name == "complete" for event in heard) == 400)
            assert {event.data["upload"] for event in each.heard[1:]} == ids
            numbers = [event.id for event in each.heard[1:] if event.id is not None]
            assert len(numbers) == 800
            assert numbers == list(range(numbers[0], numbers[0] + 800))
        with Ears(server, since=ears.heard[0].id) as back:
            back.hears(lambda heard: len(heard) == 800)
            assert [event.id for event in back.heard] == numbers


def test_progress_of_a_long_upload_is_heard_as_it_comes(server: Server) -> None:
    """Every offset that is told is one that is durable."""
    path = create(server, "tus", length=1000)
    with Ears(server, f"/api/uploads/{id_of(path)}/events") as ears:
        for offset in range(0, 1000, 100):
            assert append(server, "tus", path, offset, b"x" * 100).status == 204
            told = [heard.data["offset"] for heard in list(ears.heard) if heard.name == "progress"]
            assert told == sorted(told)
            assert all(each <= observed(server, path) for each in told)
        ears.hears(lambda heard: heard[-1].name == "complete")


def test_listeners_that_leave_without_a_word_are_forgotten(server: Server) -> None:
    """As many as there may be, twice; each descriptor comes back."""
    with unharmed(server):
        before = descriptors(server)
        for _ in range(2):
            clients = [RawClient(server.port) for _ in range(LISTENERS + 1)]
            for client in clients:
                client.send(head("GET", "/api/events", host="127.0.0.1"))
            answers = [client.socket.recv(12)[-3:] for client in clients]
            assert sorted(answers) == [b"200"] * LISTENERS + [b"503"]
            for client in clients:
                client.reset()
            eventually(lambda: descriptors(server) <= before + 2)


def test_a_browser_comes_back_by_itself_and_misses_nothing(server: Server) -> None:
    """Its EventSource goes on after a graceful stop, and hears how things stand after a kill."""
    with ThreadPoolExecutor(1) as pool:
        task = {"url": f"{server.url}/", "until": 77}
        seeing = pool.submit(see, "events.mjs", task, expected=BREAKS)
        await_upload(server, 1)  # the browser listens
        upload(server, 11)
        assert server.stop() == 0
        server.restart()
        upload(server, 22)  # while the browser is away
        await_upload(server, 2)  # it is back
        server.crash()
        await_upload(server, 3)
        upload(server, 77)
        seen = seeing.result(60)
    lengths = [each["data"]["length"] for each in seen["heard"] if each["name"] == "complete"]
    assert [length for length in lengths if length != 2] == [
        1,
        11,
        22,
        3,
        77,
    ]  # the kill may have come before that was told
    assert [each["name"] for each in seen["heard"]].count("reset") == 2
    assert seen["opened"] == 3
    numbers = [int(each["id"]) for each in seen["heard"]]
    assert numbers == sorted(numbers)


def test_curl_reads_it(server: Server) -> None:
    """A person with a terminal sees what happens."""
    command = ["curl", "-sN", "-m", "3", f"{server.url}/api/events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"retry: 2000\n"
        one = upload(server)
        rest = process.stdout.read()
    assert f'"upload":"{one}"'.encode() in rest
