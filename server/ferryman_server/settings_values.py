"""How the value of a setting is written: sizes, durations, switches, lists.

Every kind turns text into a value, whether the text came from a flag, a variable or a file, and raises ValueError with
nothing but the reason; who asked adds the source. Sizes are bytes: `k M G T` (with or without `B`) are powers of 1000,
`KiB MiB GiB TiB` powers of 1024. Durations are seconds.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

from ferryman_server.key_template import check_template

T = TypeVar("T")
W = TypeVar("W", bound=str)

MAX_SIZE: Final = 999_999_999_999_999  # bytes: the largest integer a structured field holds (RFC 9651 §3.3.1)
MAX_DURATION: Final = 100 * 365 * 86_400  # seconds: a date a hundred years on can still be written

_QUANTITY: Final = re.compile(r"(\d{1,20}(?:\.\d{1,9})?)\s?([A-Za-z]*)", re.ASCII)
# bucket names: 3 to 63 of these, beginning and ending with a letter or digit ("Bucket naming rules")
_S3_PLACE: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9!_.*'()/-]+?))?/?")
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS: Final = {
    "ms": Decimal("0.001"),
    "": Decimal(1),
    "s": Decimal(1),
    "m": Decimal(60),
    "min": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
    "w": Decimal(604_800),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind(Generic[T]):
    """A kind of value: what people are told to write, how it is read, what unit the value has."""

    expects: str  # completes "expected …"
    parse: Callable[[str], T]  # raises ValueError
    unit: str | None = None
    many: bool = False  # a list: comma-separated text, or a TOML array
    switch: bool = False  # yes or no: its flag needs no value


def size(text: str) -> int:
    """Read a size in bytes, for instance `64MiB`, `10GB`, `512k` or `1048576`."""
    number, unit = _quantity(text)
    prefix, binary = unit.lower().removesuffix("b"), False
    if prefix.endswith("i") and len(prefix) == 2:
        prefix, binary = prefix[0], True
    if prefix not in _POWERS or unit.lower() == "i":
        raise ValueError(f"'{unit}' is not a unit of size")
    value = number * (1024 if binary else 1000) ** _POWERS[prefix]
    if value != int(value):
        raise ValueError("it is not a whole number of bytes")
    if value > MAX_SIZE:
        raise ValueError(f"it is more than {MAX_SIZE} bytes")
    return int(value)


def rate(text: str) -> int:
    """Read a rate in bytes a second, for instance `64`, `1k`, `1KiB` or `1 KiB/s`; 0 stands for none."""
    return size(re.sub(r"\s?/s$", "", text.strip()))


def duration(text: str) -> float:
    """Read a duration in seconds, for instance `24h`, `90s`, `10min`, `7d` or `1.5`; above zero."""
    number, unit = _quantity(text)
    factor = _SECONDS.get(unit.lower())
    if factor is None:
        raise ValueError(f"'{unit}' is not a unit of time")
    value = float(number * factor)
    if not 0 < value <= MAX_DURATION:
        raise ValueError("it must be above zero and at most a hundred years")
    return value


def _quantity(text: str) -> tuple[Decimal, str]:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError("it is not a number with a unit")
    return Decimal(match[1]), match[2]


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Make a parser of decimal whole numbers in [low, high]."""

    def parse(text: str) -> int:
        if re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII) is None or not low <= int(text) <= high:
            raise ValueError(f"it is not a whole number from {low} to {high}")
        return int(text)

    return parse


def switch(text: str) -> bool:
    """Read yes or no."""
    word = text.strip().lower()
    if word not in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        raise ValueError("it is neither yes nor no")
    return word in ("true", "yes", "on", "1")


def some_text(text: str) -> str:
    """Read text that must not be empty."""
    if not text.strip():
        raise ValueError("it is empty")
    return text.strip()


def host(text: str) -> str:
    """Read an address or a host name."""
    name = some_text(text)
    try:
        name.encode("idna")  # what the system's resolver is given (RFC 3490)
    except UnicodeError:
        raise ValueError("it cannot be a host's name") from None
    return name


def path(text: str) -> Path:
    """Read a path; `~` is the home folder."""
    if "\0" in text:
        raise ValueError("it holds a NUL byte")
    try:
        return Path(some_text(text)).expanduser()
    except RuntimeError:
        raise ValueError("it names a home folder that is not known") from None


def optional(kind: Kind[T]) -> Kind[T | None]:
    """The same kind, where `none` stands for no limit."""

    def parse(text: str) -> T | None:
        return None if text.strip().lower() == "none" else kind.parse(text)

    return Kind(expects=f"{kind.expects}, or none", parse=parse, unit=kind.unit)


def place(text: str) -> str:
    """Read where bytes live: `local`, `memory`, or `s3://BUCKET` with or without `/PREFIX`."""
    word = text.strip()
    if word.lower() in ("local", "memory"):
        return word.lower()
    match = _S3_PLACE.fullmatch(word)
    if match is None:
        raise ValueError("it is none of the places that are known")
    if any(segment in ("", ".", "..") for segment in (match[2] or "x").split("/")):
        raise ValueError("its prefix has an empty segment, or one of dots alone")
    return word


def endpoint(text: str) -> str:
    """Read the URL of a server, without a path."""
    url = text.strip().rstrip("/")
    if not _is_origin(url):
        raise ValueError("it is not the URL of a server")
    return url


def hosts(text: str) -> tuple[str, ...]:
    """Read a list of host names or addresses, without ports."""
    return tuple(dict.fromkeys(host(item).lower() for item in text.split(",") if item.strip()))


def origins(text: str) -> tuple[str, ...]:
    """Read a list of web origins (RFC 6454 §6.2), or `*` alone for every origin."""
    found = tuple(dict.fromkeys(item.strip().lower() for item in text.split(",") if item.strip()))
    if "*" in found and len(found) > 1:
        raise ValueError("'*' already means every origin and stands alone")
    for origin in found:
        if origin != "*" and not _is_origin(origin):
            raise ValueError(f"'{origin}' is not an origin")
    return found


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is none, brackets that do not match
        return False
    return usable and text == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc


SIZE: Final = Kind(expects="a size such as 64MiB, 10GB, 512k or 1048576", parse=size, unit="bytes")
RATE: Final = Kind(expects="bytes a second such as 64, 1k or 1KiB, or 0 for none", parse=rate, unit="bytes a second")
DURATION: Final = Kind(expects="a duration such as 24h, 90s, 10min or 7d", parse=duration, unit="seconds")
SWITCH: Final = Kind(expects="yes or no", parse=switch, switch=True)
HOST: Final = Kind(expects="an address or a host name", parse=host)
PATH: Final = Kind(expects="the path of a folder", parse=path)
PLACE: Final = Kind(expects="local, memory or s3://BUCKET/PREFIX", parse=place)
KEY: Final = Kind(expects="a template such as {date}/{id}/{filename}", parse=check_template)
ENDPOINT: Final = Kind(expects="a URL such as http://127.0.0.1:9000", parse=endpoint)
HOSTS: Final = Kind(expects="host names separated by commas, without ports", parse=hosts, many=True)
ORIGINS: Final = Kind(
    expects="origins such as https://app.example.org, separated by commas, or *", parse=origins, many=True
)


def words(*known: W) -> Kind[W]:
    """One of these words, in any case."""

    def parse(text: str) -> W:
        for word in known:
            if text.strip().lower() == word:
                return word
        raise ValueError("it is none of the words that mean something here")

    return Kind(expects=" or ".join(known), parse=parse)


def number(low: int, high: int) -> Kind[int]:
    """A whole number in [low, high]."""
    return Kind(expects=f"a whole number from {low} to {high}", parse=whole_number(low, high))
