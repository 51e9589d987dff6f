"""Where a server is, and requests to it: standard library only, since a server has no client's packages.

What goes wrong on the way is CannotRate, in words.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from ferryman_server.benching.errors import CannotRate

TIMEOUT: Final = 60.0  # seconds without a byte
MOST: Final = 1 << 24  # bytes of an answer
_KINDS: Final = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def document(self) -> dict[str, Any]:
        """The body, a JSON object. Raises CannotRate."""
        try:
            found = json.loads(self.body)
        except ValueError as error:
            raise CannotRate(f"an answer that is no JSON came: {self.body[:80]!r}") from error
        if not isinstance(found, dict):
            raise CannotRate(f"a JSON object was expected, and this came: {self.body[:80]!r}")
        return found


@dataclass(frozen=True, slots=True)
class Address:
    """A server's."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Read `http://HOST:PORT`, with or without what the server prints behind it. Raises CannotRate."""
        try:
            parts = urlsplit(url)
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        except (KeyError, ValueError) as error:
            raise CannotRate(f"{url} is no URL of a server: write for instance http://127.0.0.1:1080") from error
        if not parts.hostname or parts.path.rstrip("/") not in ("", "/files"):
            raise CannotRate(f"{url}: name the server alone, for instance http://127.0.0.1:1080")
        return cls(parts.scheme, parts.hostname, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection that is open. Whatever fails in the `with` is CannotRate."""
        try:
            with closing(_KINDS[self.scheme](self.host, self.port, timeout=TIMEOUT)) as connection:
                connection.connect()
                yield connection
        except (OSError, http.client.HTTPException) as error:
            raise CannotRate(f"{self} does not answer as a server does: {error or type(error).__name__}") from error

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One request without a body, over a connection of its own. Raises CannotRate."""
        with self.connection() as connection:
            return ask(connection, method, path, headers)


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request without a body, over this connection."""
    connection.request(method, path, headers=dict(headers or {}))
    return answered(connection)


def answered(connection: http.client.HTTPConnection) -> Answer:
    """The answer to what was sent."""
    response = connection.getresponse()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read(MOST))
