"""What is measured: how many uploads of which size, over how many connections, and what a server must be able to do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from bench.servers import Server

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
INTO_MINIO: Final = "into MinIO: "
Unit = Literal["MB/s", "uploads/s", "HEAD/s"]
Place = Literal["disk", "minio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One load. Sizes are bytes; with a `coding`, `size` is the decoded length of an upload."""

    name: str
    title: str
    unit: Unit
    count: int  # uploads, or HEADs
    size: int
    patch: int = 0  # most bytes in one PATCH; 0: all of them
    connections: int = 1
    with_creation: bool = False  # the bytes come with the POST
    coding: str | None = None
    known: int = 0  # HEAD: how many uploads the server knows
    known_by_rivals: int = 0
    floor: str = "floor-each"  # the floor that makes the same promise as a durable server
    into: Place = "disk"
    in_flight: int = 1  # into MinIO: how many PUTs are under way at once where the bytes go straight there

    @property
    def bytes_stored(self) -> int:
        """How much of the disk one turn takes, without what servers write about uploads."""
        return max(self.known, self.known_by_rivals, self.count) * self.size

    def concerns(self, server: Server) -> bool:
        """Whether this server stores where the scenario asks for it at all."""
        return server.into_bucket is not None if self.into == "minio" else server.command is not None

    def unable(self, server: Server) -> str | None:
        """Why this server cannot take part, or None."""
        if self.coding is not None and self.coding not in server.decodes:
            return f"it does not decode {self.coding} bodies: it would store them as they came"
        if self.known and server.kind == "floor":
            return "it keeps what it knows in memory, so a HEAD costs it nothing"
        if self.known and server.name == "ferryman-os":
            return "a HEAD syncs nothing: it is Ferryman's figure"
        return None


def scenarios(mib: int, *, quick: bool) -> list[Scenario]:
    """Every scenario; `mib` is the size of the large ones, and a quick look sends an eighth of the small ones."""
    large, less = mib * MIB, 8 if quick else 1
    many, known = 5000 // less, 20_000 if quick else 1_000_000
    size = _size(large)
    return [
        Scenario(
            name="one-patch",
            title=f"{size}, one PATCH",
            unit="MB/s",
            count=1,
            size=large,
            floor="floor-bounded",
        ),
        Scenario(
            name="patches-8mib",
            title=f"{size} in 8 MiB PATCHes",
            unit="MB/s",
            count=1,
            size=large,
            patch=8 * MIB,
        ),
        *(
            Scenario(
                name=f"mib-c{connections}",
                title=f"{256 // less} × 1 MiB, {_connections(connections)}",
                unit="MB/s",
                count=256 // less,
                size=MIB,
                connections=connections,
            )
            for connections in (1, 16)
        ),
        *(
            Scenario(
                name=name,
                title=f"{many:,} × 1 KiB, {way}, 16 connections",
                unit="uploads/s",
                count=many,
                size=KIB,
                connections=16,
                with_creation=with_creation,
            )
            for name, way, with_creation in (
                ("kib-c16", "create + PATCH", False),
                ("kib-creation-c16", "creation-with-upload", True),
            )
        ),
        *(
            Scenario(
                name=f"large-{uploads}",
                title=f"{uploads} × {_size(large // uploads)} at once",
                unit="MB/s",
                count=uploads,
                size=large // uploads,
                connections=uploads,
                floor="floor-bounded",
            )
            for uploads in (4, 16)
        ),
        *(
            Scenario(
                name=coding,
                title=f"{_size(large // 4)} of text as {coding}, one PATCH (decoded bytes)",
                unit="MB/s",
                count=1,
                size=large // 4,
                coding=coding,
            )
            for coding in ("gzip", "zstd")
        ),
        Scenario(
            name="head-million",
            title=f"HEAD, {known:,} uploads known (rivals: {known // 10:,}), 4 connections",
            unit="HEAD/s",
            count=10_000 // less,
            size=KIB,
            connections=4,
            known=known,
            known_by_rivals=known // 10,
        ),
        *_into_minio(large, less),
    ]


def _into_minio(large: int, less: int) -> list[Scenario]:
    """The loads whose bytes go into MinIO, beside as many PUTs of the same bytes straight into it."""
    size, many = _size(large), 5000 // less
    whole = Scenario(
        name="s3-one-patch",
        title=f"{INTO_MINIO}{size}, one PATCH",
        unit="MB/s",
        count=1,
        size=large,
        floor="straight-checked",
        into="minio",
        in_flight=2,
    )
    mebibytes = replace(
        whole,
        name="s3-mib-c16",
        title=f"{INTO_MINIO}{256 // less} × 1 MiB, {_connections(16)}",
        count=256 // less,
        size=MIB,
        connections=16,
        in_flight=16,
    )
    small = replace(mebibytes, unit="uploads/s", count=many, size=KIB)
    title = f"{INTO_MINIO}{many:,} × 1 KiB"
    return [
        whole,
        replace(whole, name="s3-8mib", title=f"{INTO_MINIO}{size} in 8 MiB PATCHes", patch=8 * MIB, in_flight=1),
        mebibytes,
        replace(small, name="s3-kib", title=f"{title} in two requests, {_connections(16)}"),
        replace(
            small,
            name="s3-kib-creation",
            title=f"{title} in one request, {_connections(16)}",
            with_creation=True,
        ),
    ]


def amount(scenario: Scenario) -> float:
    """What a second's worth is counted in: megabytes (1e6 bytes), uploads or HEADs."""
    return scenario.count * scenario.size / 1e6 if scenario.unit == "MB/s" else scenario.count


def most_bytes(chosen: Sequence[Scenario]) -> int:
    """The room on the disk that one turn of these needs at most; small files take a block of 4 KiB and a note, and what
    goes into MinIO lies in a buffer of tusd's before."""
    return max(_bytes_at_once(each) + max(each.count, each.known_by_rivals) * 8 * KIB for each in chosen)


def _bytes_at_once(scenario: Scenario) -> int:
    return scenario.bytes_stored * (2 if scenario.into == "minio" else 1)


def _size(size: int) -> str:
    return f"{size // GIB} GiB" if size % GIB == 0 else f"{size / MIB:g} MiB"


def _connections(count: int) -> str:
    return "1 connection" if count == 1 else f"{count} connections"
