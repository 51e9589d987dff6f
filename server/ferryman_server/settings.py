"""Everything that can be set, in one typed class with one flat name each.

`max_size` here is `--max-size` on the command line, `FERRYMAN_MAX_SIZE` in the environment and `max_size` in
`ferryman.toml`. A flag counts more than a variable, a variable more than the file, the file more than the default.
Where values come from is the business of :mod:`ferryman_server.settings_sources`.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeVar

from ferryman_server.humane import human_duration
from ferryman_server.settings_values import (
    DURATION,
    ENDPOINT,
    HOST,
    HOSTS,
    KEY,
    ORIGINS,
    PATH,
    PLACE,
    RATE,
    SIZE,
    SWITCH,
    Kind,
    number,
    optional,
    words,
)

T = TypeVar("T")

PREFIX: Final = "FERRYMAN_"
LEAST_S3_MEMORY: Final = 64 << 20  # bytes
_KEY: Final = "setting"  # where a field's metadata keep its description


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One setting as people see it."""

    name: str
    kind: Kind[Any]
    default: str  # as a person would write it
    help: str

    @property
    def flag(self) -> str:
        """`--max-size`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """`FERRYMAN_MAX_SIZE`."""
        return PREFIX + self.name.upper()


def _setting(kind: Kind[T], default: str, help: str) -> T:
    """A dataclass field whose default is written as a person would write it."""
    return field(default=kind.parse(default), metadata={_KEY: (kind, default, help)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one server. Sizes are bytes, durations seconds."""

    files_path: ClassVar[str] = "/files/"  # part of every URL that was ever handed out: not to be set

    host: str = _setting(HOST, "127.0.0.1", "the address to listen on; 0.0.0.0 is every network this machine is in")
    port: int = _setting(number(0, 65_535), "1080", "the TCP port to listen on; 0 takes a free one")
    data: Path = _setting(  # noqa: RUF009 - a Path cannot be changed: one default may be shared
        PATH, "./data", "the folder that holds the database and, with the local store, the files"
    )
    store: str = _setting(
        PLACE, "local", "where bytes live: local, s3://BUCKET/PREFIX, or memory (forgets everything, for tests)"
    )
    durability: Literal["disk", "os"] = _setting(
        words("disk", "os"), "disk", "disk: an offset is told after a sync; os: without syncs, a power cut loses bytes"
    )
    s3_endpoint: str | None = _setting(
        optional(ENDPOINT), "none", "the S3 server, MinIO for instance; none: Amazon's, of the region in AWS_REGION"
    )
    s3_key: str = _setting(KEY, "{date}/{id}/{filename}", "the key of a finished upload's object; it must hold {id}")
    s3_memory: int = _setting(SIZE, "128MiB", "memory in which parts are filled, for all uploads together")
    s3_patience: float = _setting(
        DURATION, "75s", "how long a request's bytes wait in memory for an S3 server that is away"
    )
    s3_checksum: Literal["crc32c", "crc64nvme"] = _setting(
        words("crc32c", "crc64nvme"),
        "crc32c",
        "what the S3 server compares each part and the whole object with, and keeps; MinIO computes crc32c much faster",
    )
    s3_downloads: Literal["proxy", "redirect"] = _setting(
        words("proxy", "redirect"),
        "proxy",
        "proxy: through this server; redirect: from the S3 server, by a signed link",
    )
    s3_public_endpoint: str | None = _setting(
        optional(ENDPOINT), "none", "the S3 server as clients reach it, for such links; none: the same as s3_endpoint"
    )
    max_size: int | None = _setting(optional(SIZE), "none", "the largest upload taken")
    max_append_size: int | None = _setting(optional(SIZE), "none", "the largest body of one request (IETF protocol)")
    min_append_size: int | None = _setting(
        optional(SIZE), "none", "the smallest body of one request, the last excepted (IETF protocol)"
    )
    upload_ttl: float = _setting(DURATION, "24h", "an unfinished upload expires this long after its last byte")
    cors_origins: tuple[str, ...] = _setting(
        ORIGINS, "", "web origins that may upload from a browser; empty: the same origin and loopback; *: every origin"
    )
    allowed_hosts: tuple[str, ...] = _setting(
        HOSTS, "", "names under which lists and figures are told besides loopback ones; empty: all, unless on loopback"
    )
    body_timeout: float = _setting(
        DURATION, "60s", "a request whose body brings no byte, or whose answer is not taken, for so long ends"
    )
    min_rate: int = _setting(RATE, "64", "bytes a second that such a body has to bring on average; 0: any rate will do")
    min_rate_window: float = _setting(DURATION, "5min", "the time over which that average is taken, again and again")
    header_timeout: float = _setting(DURATION, "15s", "a connection that takes longer to send its headers is closed")
    graceful_timeout: float = _setting(DURATION, "10s", "how long a stopping server waits for requests under way")
    checkpoint_size: int = _setting(SIZE, "8MiB", "so many bytes of a long request at most are at risk in a power cut")
    checkpoint_interval: float = _setting(DURATION, "1s", "… and each time so much time went by")
    reap_interval: float = _setting(DURATION, "10min", "how often expired and deleted uploads are cleared away")
    zip_entries: int = _setting(number(1, 10_000_000), "100000", "the most entries that an uploaded ZIP may have")
    zip_name_length: int = _setting(number(1, 65_535), "1024", "the longest name of one of them, in bytes")
    zip_entry_size: int = _setting(SIZE, "128MiB", "the most that one compressed entry may unpack to")
    zip_total_size: int = _setting(SIZE, "32GiB", "the most that all compressed entries of a ZIP may unpack to")
    drop_failed: bool = _setting(
        SWITCH, "no", "delete an archive of frames that breaks a rule; its uploader is told why all the same"
    )
    previews: bool = _setting(
        SWITCH,
        "yes",
        "make contact sheets, previews, posters and waveforms of media in the background; up to 3 % of their size",
    )
    extract_to: Path | None = _setting(  # noqa: RUF009 - a Path cannot be changed: one default may be shared
        optional(PATH),
        "none",
        "a folder in which each film's frames are kept as plain files, for players that read those",
    )
    log_format: Literal["auto", "text", "json"] = _setting(
        words("auto", "text", "json"), "auto", "auto: text on a terminal, JSON lines everywhere else"
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        words("debug", "info", "warning", "error"), "info", "the least important line to write"
    )
    proxy_headers: bool = _setting(
        SWITCH, "no", "believe X-Forwarded-For, -Proto and -Host; only behind a proxy that sets them"
    )
    workers: int = _setting(number(1, 1024), "1", "server processes; more than one needs PostgreSQL")

    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)  # name → where it was set

    @property
    def in_bucket(self) -> bool:
        """Whether bytes live in an S3 bucket."""
        return self.store.startswith("s3://")


def options() -> list[Option]:
    """Every setting, in the order of the class."""
    found = []
    for item in fields(Settings):
        if _KEY in item.metadata:
            kind, default, help = item.metadata[_KEY]
            assert item.default is not MISSING
            found.append(Option(name=item.name, kind=kind, default=default, help=help))
    return found


def explain(settings: Settings) -> list[tuple[str, str, str]]:
    """What holds and why: (name, value as text, source) of every setting."""
    return [
        (option.name, shown(option, getattr(settings, option.name)), settings.sources.get(option.name, "default"))
        for option in options()
    ]


def shown(option: Option, value: object) -> str:
    """A setting's value as text for people."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(value) or "(empty)"
        case float():
            return human_duration(value) if value >= 1 else f"{value:g} s"
        case int() if option.kind.unit == "bytes":
            return f"{value} bytes"
        case int() if option.kind.unit == "bytes a second":
            return f"{value} bytes/s" if value else "any"
        case _:
            return str(value)


def contradictions(settings: Settings) -> list[str]:
    """What is wrong although each value by itself is right; each line says what to do."""
    found = []
    if settings.workers > 1:
        source = settings.sources.get("workers", "workers")
        found.append(
            f"{source}: {settings.workers} workers need PostgreSQL. With SQLite there is one server process: two that "
            "write one database wait for each other for seconds, and one already uses every core. Set workers to 1."
        )
    if settings.store.startswith("s3://") and settings.s3_memory < LEAST_S3_MEMORY:
        found.append(
            f"s3_memory ({settings.s3_memory} bytes) is less than {LEAST_S3_MEMORY} bytes (64MiB): two large parts "
            "would not fit. Raise it."
        )
    if settings.extract_to is not None and lies_in(settings.extract_to, settings.data):
        found.append(
            f"extract_to ({settings.extract_to}) lies in the data folder {settings.data}: name a folder outside."
        )
    least, most = settings.min_append_size, settings.max_append_size
    if least is not None and most is not None and least > most:
        found.append(
            f"min_append_size ({least} bytes) is above max_append_size ({most} bytes): no request could be right. "
            "Lower the one or raise the other."
        )
    return found


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is this folder, or below it."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
