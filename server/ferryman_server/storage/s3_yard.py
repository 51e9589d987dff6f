"""What all writers of one S3 store share, and what is known of the upload that one of them writes."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ferryman_server.storage.ledger import Ledger
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_memory import Memory
from ferryman_server.storage.s3_names import Names
from ferryman_server.storage.s3_numbers import Unused
from ferryman_server.storage.s3_slices import Slices
from ferryman_server.storage.s3_taps import Taps
from ferryman_server.storage.s3_traffic import Traffic

SENDERS: Final = 8  # requests with bytes under way at once: MinIO's disk and processors are the limit, not we


@dataclass(frozen=True, kw_only=True, slots=True)
class Yard:
    """Where parts are filled and sent off."""

    client: S3Client
    ledger: Ledger
    memory: Memory
    slices: Slices  # of that memory
    senders: ThreadPoolExecutor
    traffic: Traffic
    names: Names
    unused: Unused
    taps: Taps
    patience: float  # seconds that bytes in memory wait for a store that is away


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """An upload that is being written."""

    upload_id: str
    target: str  # the key of its object
    headers: Mapping[str, str]  # of its object
    length: int | None  # bytes, where it is known
    fence: int  # of the lease
    on_durable: Callable[[], None]
    ends_at: int | None  # the offset behind the request's last byte, where it is known
