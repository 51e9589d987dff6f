"""Which web pages may have something changed: those of this server.

A browser sends some requests for a page of any site without asking first, and what the user may do here is done. So a
request that changes something is refused when the browser says that another site's page wants it:

- `Sec-Fetch-Site` (Fetch Metadata) says it plainly; browsers send it to https and to this machine.
- Else `Origin` (RFC 6454) names the page's site. It is ours if it is the name under which the server is asked, `Host`;
  on loopback that one is known to be ours (:mod:`.hosts`).
- Neither is there: it is no browser, or no page.

The setting `cors_origins` does not count here: it is for uploads.
"""

from typing import Final

from ferryman_protocol import problems
from ferryman_protocol.headers import Headers
from ferryman_protocol.refusals import quoted, refusal

_OURS: Final = ("same-origin", "none")  # none: the user's own doing
_PORTS: Final = {"http": ":80", "https": ":443"}  # not written in an Origin; some proxies write it in Host


def refuse_foreign_pages(headers: Headers) -> None:
    """Raise Refused (403) if the request comes from a page of another site."""
    site = headers.joined("sec-fetch-site")
    if site in _OURS:
        return
    origin, host = headers.joined("origin"), headers.joined("host") or ""
    page = "a page of another site" if origin is None else f"a page of {quoted(origin)}"
    if site is not None:
        raise refusal(problems.FOREIGN_PAGE, f"{page} asks for this: Sec-Fetch-Site is {quoted(site)}")
    if origin is not None and not _same(origin.lower(), host.lower()):
        raise refusal(problems.FOREIGN_PAGE, f"{page} asks for this, and the server is asked as {quoted(host)}")


def _same(origin: str, host: str) -> bool:
    scheme, _, name = origin.partition("://")
    return bool(name) and name == host.removesuffix(_PORTS.get(scheme, ""))
