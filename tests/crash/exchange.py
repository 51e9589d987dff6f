"""One request over a connection of its own: sent piece by piece, listening all the while, and possibly ill-fated."""

import http.client
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.crash.ledger import Flight
from tests.crash.ways import Packed
from tests.support.proxy import Fate, Proxy
from tests.support.raw_http import RawClient, RawResponse, head

PATIENCE: Final = 20.0  # seconds that a healthy server has for an answer, and a healthy network for a byte


@dataclass(frozen=True, slots=True)
class Route:
    """How a request gets to the server."""

    port: int  # the server's, or the proxy's
    proxy: Proxy | None = None
    fate: Fate | None = None
    patience: float = PATIENCE  # seconds without progress after which the client gives the connection up

    def connect(self) -> RawClient:
        """A connection that will meet its fate. Raises OSError."""
        client = RawClient(self.port, timeout=self.patience)
        if self.proxy is not None and self.fate is not None:
            self.proxy.doom(client.socket, self.fate)
        return client


def ask(route: Route, method: str, path: str, *fields: str) -> RawResponse:
    """A request without a body; its final answer. Raises OSError (also: ConnectionError, TimeoutError)."""
    with route.connect() as client:
        client.send(head(method, path, *fields))
        while (answer := client.response(to_head=method == "HEAD")).status < 200:
            pass
        return answer


def bring(
    client: RawClient,
    flight: Flight,
    request: bytes,
    packed: Packed,
    pause: float,
    interim: Callable[[RawResponse], None],
) -> RawResponse:
    """Send a request with its body, `pause` seconds between pieces; the final answer, which may come early.

    Raises OSError when the connection breaks or stands still. The connection stays open: its owner decides."""
    try:
        _send(client.socket, flight, request)
        for piece, reach in packed.pieces:
            early = _listen(client, interim)
            if early is not None:
                return early
            flight.sent.stop = max(flight.sent.stop, flight.sent.start + reach)
            _send(client.socket, flight, piece)
            if pause:
                time.sleep(pause)
    except ConnectionError:  # the server may have said why before it closed
        return _final(client, interim)
    return _final(client, interim)


def _final(client: RawClient, interim: Callable[[RawResponse], None]) -> RawResponse:
    while (answer := client.response()).status < 200:
        interim(answer)
    return answer


def _send(connection: socket.socket, flight: Flight, data: bytes) -> None:
    """Send all of it, counting what the kernel has taken."""
    view = memoryview(data)
    while view:
        count = connection.send(view)
        flight.raw += count
        view = view[count:]


def _listen(client: RawClient, interim: Callable[[RawResponse], None]) -> RawResponse | None:
    while select.select([client.socket], [], [], 0)[0]:
        answer = client.response()
        if answer.status >= 200:
            return answer
        interim(answer)
    return None


def download(port: int, target: str, **fields: str) -> tuple[int, dict[str, str], bytes]:
    """GET: status, header fields (names in lower case), body. Raises OSError and HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", target, headers={name.replace("_", "-"): value for name, value in fields.items()})
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body
    finally:
        connection.close()
