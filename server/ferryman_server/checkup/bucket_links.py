"""Where downloads are sent to the S3 server itself: does a link, made as for a client, bring the object."""

from typing import Final

import urllib3
from urllib3.exceptions import HTTPError

from ferryman_server.checkup.bucket_access import TIMEOUT
from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.checkup.probe import CONTENT, Probe, patiently
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_errors import plain_reason, read_error
from ferryman_server.storage.s3_links import Links

MOST: Final = 64 << 10  # bytes of an answer that are looked at


def check_links(probe: Probe, links: Links | None) -> list[Finding]:
    """Follow one, from this machine. Nothing is found where downloads go through the server."""
    if links is None:
        return []
    key = probe.key("link")
    try:
        patiently(lambda: probe.put(key))
    except StoreError:
        return []  # check_speed puts one as well, and says what is wrong
    return [_followed(links, key)]


def _followed(links: Links, key: str) -> Finding:
    try:
        with urllib3.PoolManager(retries=False, timeout=TIMEOUT) as pool:
            answer = pool.request("GET", links.to(key), redirect=False, preload_content=False)
            content = answer.read(MOST)
    except (HTTPError, OSError) as error:
        return note(
            f"downloads are sent to {links.endpoint}, which does not answer from here: {plain_reason(error)}",
            "it has to from where the clients are: correct s3_public_endpoint, or set s3_downloads to proxy",
        )
    if answer.status == 200 and content == CONTENT:
        return ok(f"downloads are sent to {links.endpoint}, and a link to it brings the object")
    code, _ = read_error(content)
    brought = f"{answer.status} {code}".rstrip() if answer.status != 200 else "something else"
    return wrong(
        f"downloads are sent to {links.endpoint}, and a link to it does not bring the object, but {brought}",
        "s3_public_endpoint has to be the address by which clients reach the S3 server; a proxy there has to pass path,"
        " query and Host header on as they came",
    )
