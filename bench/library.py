"""The library page of 100,000 media over HTTP: how long `GET /api/media` takes, in any order, searched and paged."""

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from bench.errors import CannotMeasure
from bench.library_filling import TAGS, WORDS, fill
from bench.processes import running
from bench.rounds import fresh_folder
from bench.servers import Server, without_derived
from bench.slow import Verdict
from ferryman_server.benching.address import Address, ask
from ferryman_server.benching.errors import CannotRate

MEDIA: Final = 100_000
P95: Final = 0.02  # seconds
SORTS: Final = ("name", "date", "size", "duration", "rating", "views")
PAGES: Final = 3  # of each walk
WARM: Final = 20  # requests that do not count
TIMES: Final = 4  # each question is asked


def library(server: Server, place: Path, media: int = MEDIA) -> list[Verdict]:
    """Fill a library, start the server over it, and ask for pages. Raises CannotMeasure."""
    with fresh_folder(place) as folder:
        fill(folder / "data", media)
        with running(without_derived(server), folder / "data") as target:
            taken = _measured(Address("http", "127.0.0.1", target.port))
    return [_line(f"{media:,} media: {what}", values) for what, values in taken.items()]


def questions() -> dict[str, list[dict[str, str]]]:
    """What is asked, by what it is about."""
    orders = [{"sort": sort, "order": order} for sort in SORTS for order in ("asc", "desc")]
    chance = random.Random(1)
    words = [chance.choice(WORDS) for _ in orders]
    narrowed = [{"tag": TAGS[0]}, {"kind": "video"}, {"favourite": "true"}, {"tag": TAGS[1], "kind": "image"}]
    return {
        "every order": orders,
        "a word, in every order": [{**order, "search": word} for order, word in zip(orders, words, strict=True)],
        "two words": [{"search": f"{word} {chance.choice(WORDS)}"} for word in words],
        "part of a word": [{"search": word[:3]} for word in words],
        "one in them all": [{"search": "99999"}, {"search": "nothing-like-this"}],
        "tag, kind, favourite": [{**narrow, **order} for narrow in narrowed for order in orders],
    }


def _measured(address: Address) -> dict[str, list[float]]:
    asked = questions()
    try:
        for _ in range(WARM):
            address.ask("GET", "/api/media")
        return {what: [each for _ in range(TIMES) for each in _walks(address, of)] for what, of in asked.items()}
    except CannotRate as reason:
        raise CannotMeasure(str(reason)) from reason


def _walks(address: Address, questions: Sequence[dict[str, str]]) -> Iterator[float]:
    with address.connection() as connection:
        for question in questions:
            cursor: str | None = None
            for _ in range(PAGES):
                parameters = urlencode({**question, **({"cursor": cursor} if cursor else {})})
                began = time.perf_counter()
                answer = ask(connection, "GET", f"/api/media?{parameters}")
                yield time.perf_counter() - began
                if answer.status != 200:
                    raise CannotMeasure(f"/api/media?{parameters} was answered {answer.status}: {answer.body[:200]!r}")
                cursor = answer.document()["next"]
                if cursor is None:
                    break


def _line(what: str, values: Sequence[float]) -> Verdict:
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
    middle = statistics.median(values)
    text = f"p50 {middle * 1e3:.1f}, p95 {p95 * 1e3:.1f}, max {max(values) * 1e3:.1f} ms ({len(values)})"
    return Verdict(what, text, p95 <= P95)
