"""`ferryman status`: is a server at work on this data folder, does it answer, and what is stored."""

import argparse
import asyncio
import http.client
import json
from collections.abc import Mapping
from typing import Final

from ferryman_protocol.model import Phase
from ferryman_server.commands.base import FINE, PROBLEMS, Command
from ferryman_server.commands.bucket import look_at_bucket
from ferryman_server.commands.looking import Holder, lock_holder, newest, reading
from ferryman_server.humane import human_size
from ferryman_server.s3_opening import endpoint
from ferryman_server.settings import Settings
from ferryman_server.storage.local import LocalStore

TIMEOUT: Final = 5.0  # seconds: a server that takes longer to say that it is ready is in trouble
_NOTHING_LEFT: Final = (Phase.COMPLETE, Phase.EXPIRED, Phase.TERMINATED)  # of what was not finished
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where a server that listens everywhere is asked


class Status(Command):
    """The command."""

    name = "status"
    help = "tell whether the server runs and what its data folder holds"
    flags = ("data", "store", "s3_endpoint", "host", "port")

    def answer(self, settings: Settings, args: argparse.Namespace) -> int:
        """Print the figures; 1 when the server that holds the folder, or the bucket, does not answer as it should."""
        holder = lock_holder(settings.data)
        problem = None if holder is None else trouble(settings.host, settings.port)
        bucket = look_at_bucket(settings) if settings.in_bucket else None
        print(f"data folder  {settings.data}")
        if bucket is not None:
            print(f"bucket       {settings.store} at {endpoint(settings)}: {bucket.text}")
        print(f"server       {_server(settings, holder, problem)}")
        if holder is not None or (settings.data / "state.db").exists():
            print(f"uploads      {_phases(asyncio.run(_counts(settings)))}")
        stored = _stored(settings)
        if stored is not None:
            print(f"stored       {stored}")
        return PROBLEMS if problem is not None or (bucket is not None and bucket.trouble) else FINE


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


def _stored(settings: Settings) -> str | None:
    """How many bytes there are: by the files, or in a bucket by the database, since a walk may take minutes there."""
    if settings.in_bucket and (settings.data / "state.db").exists():
        return asyncio.run(_noted(settings))
    if settings.store == "local" and (settings.data / "store.toml").exists():
        return _found(LocalStore(settings.data))
    return None


async def _noted(settings: Settings) -> str:
    complete = unfinished = 0
    async with reading(settings) as state:
        async for record in newest(state):
            upload = record.upload
            complete += upload.offset if upload.phase is Phase.COMPLETE else 0
            unfinished += upload.offset if upload.phase not in _NOTHING_LEFT else 0
    return f"{human_size(complete)} complete, {human_size(unfinished)} unfinished, by the database"


def _found(store: LocalStore) -> str:
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
