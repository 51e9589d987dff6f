"""The proxy before the small server, and a client of single requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.s3.proxy import FaultProxy
from tests.s3.upstream import Upstream, upstream_server
from tests.support.raw_http import RawClient, RawResponse, head

PART = "/bucket/key?partNumber={}&uploadId=u"


@dataclass(frozen=True, slots=True)
class Rig:
    """Both servers."""

    upstream: Upstream
    proxy: FaultProxy

    def client(self) -> RawClient:
        """A connection to the proxy."""
        return RawClient(self.proxy.port)

    def ask(self, method: str, target: str, body: bytes = b"", *fields: str) -> RawResponse:
        """One request on a connection of its own."""
        with self.client() as client:
            client.send(request(method, target, body, *fields))
            return client.response(to_head=method == "HEAD")

    def put_part(self, number: int, body: bytes = b"part") -> RawResponse:
        """Upload a part on a connection of its own."""
        return self.ask("PUT", PART.format(number), body)


def request(method: str, target: str, body: bytes = b"", *fields: str) -> bytes:
    """A whole request of a sized body."""
    return head(method, target, f"Content-Length: {len(body)}", *fields) + body


@contextmanager
def proxied() -> Iterator[Rig]:
    """Both servers for the length of the `with`."""
    with upstream_server() as upstream, FaultProxy(upstream.endpoint) as proxy:
        yield Rig(upstream, proxy)
