"""`ferryman status`: is a server at work on this data folder, does it answer, and what does the folder hold."""

import argparse
import asyncio
import http.client
import json
from collections.abc import Mapping
from typing import Final

from ferryman_server.commands.base import FINE, PROBLEMS, Command
from ferryman_server.commands.looking import Holder, lock_holder, reading
from ferryman_server.humane import human_size
from ferryman_server.settings import Settings
from ferryman_server.storage.local import LocalStore

TIMEOUT: Final = 5.0  # seconds: a server that takes longer to say that it is ready is in trouble
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where a server that listens everywhere is asked


class Status(Command):
    """The command."""

    name = "status"
    help = "tell whether the server runs and what its data folder holds"
    flags = ("data", "host", "port")

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Print the figures; 1 when a server holds the folder but does not answer as it should."""
        holder = lock_holder(settings.data)
        problem = None if holder is None else trouble(settings.host, settings.port)
        print(f"data folder  {settings.data}")
        print(f"server       {_server(settings, holder, problem)}")
        if holder is not None or (settings.data / "state.db").exists():
            print(f"uploads      {_phases(asyncio.run(_counts(settings)))}")
        if settings.store == "local" and (settings.data / "store.toml").exists():
            print(f"stored       {_stored(LocalStore(settings.data))}")
        return FINE if problem is None else PROBLEMS


def trouble(host: str, port: int) -> str | None:
    """What is wrong with the server at that address, by its `/readyz`; None: it is ready."""
    connection = http.client.HTTPConnection(_ANYWHERE.get(host, host), port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = response.read(65_536)
        told = json.loads(body) if response.status in (200, 503) else {}
    except (OSError, http.client.HTTPException, ValueError) as error:
        return (
            f"does not answer at {host} port {port} ({error}); if it listens elsewhere, give the same --host and --port"
        )
    finally:
        connection.close()
    if response.status == 200 and isinstance(told, dict) and told.get("status") == "ready":
        return None
    return f"answers at {host} port {port} that it is not ready (status {response.status})"


def _server(settings: Settings, holder: Holder | None, problem: str | None) -> str:
    if holder is None:
        return "not running"
    if problem is None:
        return f"running, {holder}, ready at {settings.host} port {settings.port}"
    return f"running, {holder}, but it {problem}"


def _phases(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {phase}" for phase, count in counts.items() if count) or "none"


def _stored(store: LocalStore) -> str:
    complete = unfinished = 0
    for stray in store.strays():
        complete += stray.size if stray.published else 0
        unfinished += 0 if stray.published else stray.size
    free = store.free_bytes()
    room = "" if free is None else f"; {human_size(free)} free"
    return f"{human_size(complete)} complete, {human_size(unfinished)} unfinished{room}"


async def _counts(settings: Settings) -> Mapping[str, int]:
    async with reading(settings) as state:
        return await state.counts()


command = Status()
