"""What the clients of the core's machine know."""

import asyncio
from dataclasses import dataclass

from ferryman_protocol.model import Reply
from ferryman_server.digests import Crc64
from tests.support.core import Feed


@dataclass
class Flight:
    """A request that is half-way."""

    kind: str
    start: int
    sent: int
    feed: Feed
    task: "asyncio.Task[Reply]"
    doomed: bool = False  # the disk was in trouble since it began: it may end any time


@dataclass
class Model:
    """What a client knows of its upload."""

    upload_id: str
    whole: bytes
    told: int = 0
    flight: Flight | None = None


def crc_of(data: bytes) -> int:
    """The CRC64/NVME."""
    crc = Crc64()
    crc.update(memoryview(data))
    return crc.value
