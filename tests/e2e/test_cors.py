"""What a browser lets a page of another origin do with a real server: upload and read every field, and nothing else."""

import gzip
import hashlib
import ssl
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from typing import Final

import httpx
import pytest

from tests.support.probing import NOBODY
from tests.support.process import Server, serving

PAGE: Final = "https://app.example"  # the origin that one server was told of
LOOPBACK: Final = (
    "http://localhost:3000",
    "https://localhost",
    "http://127.0.0.1:8000",
    "http://127.7.7.7",
    "http://[::1]:9",
)
STRANGERS: Final = (
    "https://app.example",
    "http://localhost.evil.example",
    "http://evil.example:3000",
    "http://localhost:3000.evil.example",
    "http://notlocalhost",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1:80@evil.example",
    "http://[::1].evil.example",
    "http://[::2]",
    "ftp://localhost",
    "http://localhost:",
    "null",
    "",
)
# What clients of either protocol read: tus 1.0 and its extensions; the IETF drafts from interop version 3 on.
NEEDED: Final = frozenset(
    {
        *("location", "upload-offset", "upload-length", "upload-metadata", "upload-defer-length", "upload-concat"),
        *("upload-expires", "tus-resumable", "tus-version", "tus-extension", "tus-max-size", "tus-checksum-algorithm"),
        *("upload-complete", "upload-incomplete", "upload-limit", "upload-draft-interop-version", "accept-patch"),
        *("accept-encoding", "repr-digest", "retry-after"),
        *("etag", "content-range", "accept-ranges", "content-disposition", "content-length"),
    }
)
# Readable without being exposed (Fetch, "CORS-safelisted response-header name").
SAFELISTED: Final = frozenset(
    {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}
)
# Addressed to the browser or to caches, not to the page's script.
NOT_FOR_SCRIPTS: Final = frozenset(
    {"date", "connection", "vary", "allow", "content-encoding", "content-security-policy", "x-content-type-options"}
)
TUS: Final = {"Tus-Resumable": "1.0.0"}
STREAM: Final = {**TUS, "Content-Type": "application/offset+octet-stream"}
LIMIT: Final = ("--max-size", "1MiB")
IETF: Final = {"Upload-Draft-Interop-Version": "8"}

# Nothing here is encrypted: to load the system's certificates for each request would take longer than the request.
_NO_CERTIFICATES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
web = partial(httpx.request, verify=_NO_CERTIFICATES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that was told of no origin."""
    with serving(tmp_path_factory.mktemp("cors") / "data", *LIMIT) as running:
        yield running


@pytest.fixture(scope="module")
def app_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that was told of two."""
    origins = f"{PAGE},http://other.example:8080"
    with serving(tmp_path_factory.mktemp("cors-app") / "data", "--cors-origins", origins, *LIMIT) as running:
        yield running


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes uploads from pages of every origin."""
    with serving(tmp_path_factory.mktemp("cors-all") / "data", "--cors-origins", "*", *LIMIT) as running:
        yield running


def preflight(
    server: Server,
    origin: str,
    *,
    method: str = "PATCH",
    fields: str = "tus-resumable,upload-offset",
    path: str = NOBODY,
) -> httpx.Response:
    """What a browser asks before it sends anything that a form could not send."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": fields}
    return web("OPTIONS", server.url + path, headers=asked)


def listed(answer: httpx.Response, name: str) -> set[str]:
    """The members of a list field, in lower case."""
    return {member.strip().lower() for member in answer.headers.get(name, "").split(",") if member.strip()}


def assert_readable(answer: httpx.Response, origin: str) -> None:
    """The page may read the answer with every field that is meant for it, and caches keep it apart from others'."""
    assert answer.headers.get_list("access-control-allow-origin") == [origin]
    assert "access-control-allow-credentials" not in answer.headers
    exposed = listed(answer, "access-control-expose-headers")
    assert exposed >= NEEDED - SAFELISTED
    own = {name for name in answer.headers if not name.startswith("access-control-")}
    assert own <= exposed | SAFELISTED | NOT_FOR_SCRIPTS
    if origin != "*":
        assert "origin" in listed(answer, "vary")


def assert_kept_from(answer: httpx.Response) -> None:
    """No page of the origin asked for may read the answer, and no cache may hand it to one that may, or the reverse."""
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in listed(answer, "vary")


# -- who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", LOOPBACK)
def test_pages_of_this_machine_may_upload(server: Server, origin: str) -> None:
    """A page under development, on any port, in any spelling of loopback."""
    answer = preflight(server, origin)
    assert answer.is_success
    assert answer.headers.get_list("access-control-allow-origin") == [origin]
    assert "origin" in listed(answer, "vary")
    assert_readable(web("HEAD", server.url + NOBODY, headers={**TUS, "Origin": origin}), origin)


@pytest.mark.parametrize("origin", STRANGERS)
def test_other_pages_may_not(server: Server, origin: str) -> None:
    """Whatever begins or ends like a loopback name is not one; sandboxed pages and files (null) have no name."""
    refused = preflight(server, origin)
    assert not refused.is_success
    assert_kept_from(refused)
    assert_kept_from(web("HEAD", server.url + NOBODY, headers={**TUS, "Origin": origin}))
    assert_kept_from(web("OPTIONS", f"{server.url}/files/", headers={"Origin": origin}))


def test_configured_origins_are_the_only_ones(app_server: Server) -> None:
    """Each origin that is named, exactly as it is named; loopback is no exception any more."""
    for origin in (PAGE, "http://other.example:8080"):
        assert preflight(app_server, origin).headers["access-control-allow-origin"] == origin
        assert_readable(web("HEAD", app_server.url + NOBODY, headers={**TUS, "Origin": origin}), origin)
    strangers = ("http://app.example", f"{PAGE}:8443", "https://sub.app.example", f"{PAGE}.evil.example", "null")
    for origin in (*strangers, "http://other.example", "http://localhost:3000"):
        assert_kept_from(preflight(app_server, origin))
        assert_kept_from(web("HEAD", app_server.url + NOBODY, headers={**TUS, "Origin": origin}))


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000", "http://evil.example", "null"])
def test_every_page_may_when_it_was_said_so(open_server: Server, origin: str) -> None:
    """`*`: every page, but never with the cookies of its visitor."""
    answer = preflight(open_server, origin, fields="authorization,upload-offset")
    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    # "*" does not stand for Authorization, so it must be named (Fetch, "CORS non-wildcard request-header name")
    assert {"authorization", "upload-offset"} <= listed(answer, "access-control-allow-headers")
    with_cookie = {**TUS, "Origin": origin, "Cookie": "session=1"}
    assert_readable(web("HEAD", open_server.url + NOBODY, headers=with_cookie), "*")


def test_answers_without_an_origin_are_kept_apart_too(server: Server, app_server: Server) -> None:
    """A cache must not give a page what it keeps from a request without Origin: Vary says so, nothing else is there."""
    for each in (server, app_server):
        answer = web("HEAD", each.url + NOBODY, headers=TUS)
        assert "origin" in listed(answer, "vary")
        assert not [name for name in answer.headers if name.startswith("access-control-")]


# -- what may be sent -----------------------------------------------------------------------------------------------

_SENT: Final = {
    "POST": "tus-resumable,upload-length,upload-metadata,upload-defer-length,upload-concat,upload-checksum,"
    "content-type,content-encoding,x-http-method-override,x-requested-with",
    "PATCH": "upload-draft-interop-version,upload-complete,upload-offset,upload-length,content-type,content-digest,"
    "repr-digest,want-repr-digest,authorization",
    "PUT": "upload-draft-interop-version,upload-incomplete,content-disposition",
    "HEAD": "tus-resumable",
    "DELETE": "tus-resumable,x-request-id",
    "GET": "range,if-range,if-none-match",
}


@pytest.mark.parametrize("method", _SENT)
@pytest.mark.parametrize("path", ["/files/", "/files", NOBODY])
def test_a_preflight_allows_what_clients_send(server: Server, method: str, path: str) -> None:
    """Every method and field of both protocols, and fields of the page's own; the browser need not ask every time."""
    origin = "http://localhost:3000"
    answer = preflight(server, origin, method=method, fields=_SENT[method], path=path)
    assert answer.is_success
    assert method.lower() in listed(answer, "access-control-allow-methods")
    assert set(_SENT[method].split(",")) <= listed(answer, "access-control-allow-headers")
    assert int(answer.headers["access-control-max-age"]) > 0
    assert {"origin", "access-control-request-headers"} <= listed(answer, "vary")
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "patch"])
def test_a_preflight_for_a_method_of_no_use_is_refused(server: Server, method: str) -> None:
    """Method names are case-sensitive: a browser sends `patch` as it was written, and nothing here knows it."""
    assert not preflight(server, "http://localhost:3000", method=method).is_success


def test_what_needs_no_preflight_does_nothing(server: Server) -> None:
    """A strange page can send simple requests without asking: none of them starts, changes or ends an upload."""
    path = web("POST", server.files, headers={**TUS, "Upload-Length": "3"}).headers["location"]
    before = web("GET", f"{server.url}/api/uploads").json()
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        simple = {"Origin": "http://evil.example", "Content-Type": media_type}
        for target in ("/files/", path):
            answer = web("POST", server.url + target, headers=simple, content=b"a=b")
            assert answer.status_code in (400, 405), answer
            assert_kept_from(answer)
        assert_kept_from(web("GET", server.url + path, headers=simple))
    assert web("GET", f"{server.url}/api/uploads").json() == before


# -- what may be read -----------------------------------------------------------------------------------------------


def upload(server: Server, body: bytes, **more: str) -> str:
    """The path of a complete upload."""
    answer = web("POST", server.files, headers={**IETF, "Upload-Complete": "?1", **more}, content=body)
    assert answer.status_code == 201
    return answer.headers["location"]


def half(server: Server) -> str:
    """The path of an upload that has three bytes of six."""
    answer = web("POST", server.files, headers={**STREAM, "Upload-Length": "6"}, content=b"abc")
    assert answer.status_code == 201
    return answer.headers["location"]


@pytest.fixture(params=["loopback", "named", "any"])
def case(
    request: pytest.FixtureRequest, server: Server, app_server: Server, open_server: Server
) -> tuple[Server, str, str]:
    """A server, an origin it allows, and how it says so."""
    cases = {
        "loopback": (server, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        "named": (app_server, PAGE, PAGE),
        "any": (open_server, PAGE, "*"),
    }
    return cases[request.param]


def test_successes_can_be_read(case: tuple[Server, str, str]) -> None:
    """Creation, HEAD, PATCH and DELETE of both protocols, and OPTIONS that is no preflight."""
    server, origin, allowed = case
    page = {"Origin": origin}
    with httpx.Client(verify=_NO_CERTIFICATES, base_url=server.url, headers=page) as client:
        created = client.post("/files/", headers={**TUS, "Upload-Length": "6", "Upload-Metadata": "a YQ=="})
        path = created.headers["location"]
        draft = client.post("/files/", headers={**IETF, "Upload-Complete": "?0"})
        third = client.post("/files/", headers={"Upload-Draft-Interop-Version": "3", "Upload-Incomplete": "?1"})
        wanted = {**IETF, "Upload-Complete": "?1", "Want-Repr-Digest": "sha-256=9"}
        answers = {
            201: [created, draft, third, client.post("/files/", headers=wanted, content=b"abc")],
            200: [client.head(path, headers=TUS)],
            204: [
                client.patch(path, headers={**STREAM, "Upload-Offset": "0"}, content=b"abc"),
                client.head(path, headers=IETF),
                client.get(path),
                client.options("/files/"),
                client.options(path),
                client.delete(path, headers=TUS),
                client.delete(draft.headers["location"], headers=IETF),
            ],
        }
    for status, each in answers.items():
        for answer in each:
            assert answer.status_code == status, answer.request
            assert_readable(answer, allowed)


def test_downloads_can_be_read(case: tuple[Server, str, str]) -> None:
    """GET and HEAD, whole, in part, not modified, and refused."""
    server, origin, allowed = case
    path = upload(server, gzip.compress(b"frames"), **{"Content-Encoding": "gzip", "Content-Type": "image/png"})
    with httpx.Client(verify=_NO_CERTIFICATES, base_url=server.url, headers={"Origin": origin}) as client:
        whole = client.get(path)
        etag = whole.headers["etag"]
        answers = {
            200: [whole, client.head(path), client.head(path, headers=TUS), client.get(path, headers=TUS)],
            206: [client.get(path, headers={"Range": "bytes=0-9"})],
            304: [client.get(path, headers={"If-None-Match": etag})],
            412: [client.get(path, headers={"If-Match": '"other"'})],
            416: [client.get(path, headers={"Range": "bytes=999-"})],
        }
    for status, each in answers.items():
        for answer in each:
            assert answer.status_code == status, answer.request
            assert_readable(answer, allowed)


def test_refusals_can_be_read(case: tuple[Server, str, str]) -> None:
    """A page must see why an upload was refused, and from where to go on."""
    server, origin, allowed = case
    path, gone, over = half(server), half(server), half(server)
    web("DELETE", server.url + gone, headers=TUS)
    wrong = b64encode(hashlib.sha1(b"else").digest()).decode()
    at_3 = {**STREAM, "Upload-Offset": "3"}
    answers: dict[int, list[httpx.Response]] = {}
    with httpx.Client(verify=_NO_CERTIFICATES, base_url=server.url, headers={"Origin": origin}) as client:
        answers[400] = [client.post("/files/", headers={**TUS, "Upload-Length": "-1"}), client.post("/files/")]
        answers[404] = [client.head(NOBODY, headers=TUS), client.get(NOBODY), client.get("/files/no/such")]
        answers[405] = [client.put(path, headers=TUS), client.get("/files/")]
        answers[409] = [client.patch(path, headers={**STREAM, "Upload-Offset": "1"}, content=b"abc")]
        answers[410] = [client.head(gone, headers=TUS), client.patch(gone, headers=at_3, content=b"abc")]
        answers[412] = [client.head(path, headers={"Tus-Resumable": "0.2.2"})]
        answers[413] = [
            client.patch(over, headers=at_3, content=b"x" * 10),
            client.post("/files/", headers={**TUS, "Upload-Length": str(2 << 20)}),
        ]
        answers[415] = [
            client.patch(path, headers={**TUS, "Upload-Offset": "3", "Content-Type": "text/plain"}, content=b"abc"),
            client.patch(path, headers={**at_3, "Content-Encoding": "br"}, content=b"abc"),
        ]
        answers[460] = [client.patch(path, headers={**at_3, "Upload-Checksum": f"sha1 {wrong}"}, content=b"abc")]
    for status, each in answers.items():
        for answer in each:
            assert answer.status_code == status, answer.request
            assert_readable(answer, allowed)


def test_a_strange_page_reads_no_answer_at_all(server: Server) -> None:
    """Downloads, successes and refusals alike: the browser keeps all of them from it."""
    path = half(server)
    done = upload(server, b"abc")
    with httpx.Client(
        verify=_NO_CERTIFICATES, base_url=server.url, headers={"Origin": "http://evil.example"}
    ) as client:
        for answer in (
            client.get(done),
            client.get(done, headers={"Range": "bytes=0-0"}),
            client.head(path, headers=TUS),
            client.post("/files/", headers={**TUS, "Upload-Length": "3"}),
            client.patch(path, headers={**STREAM, "Upload-Offset": "1"}, content=b"x"),
            client.delete(path, headers=TUS),
        ):
            assert_kept_from(answer)


@pytest.mark.parametrize(
    "target",
    ["/api/uploads", "/api/uploads/{id}", "/api/uploads/x", "/metrics", "/", "/healthz", "/readyz", "/nothing"],
)
def test_lists_figures_and_the_page_are_for_nobody_else(case: tuple[Server, str, str], target: str) -> None:
    """Only upload URLs answer other origins, even where every origin may upload."""
    server, origin, _ = case
    if "{id}" in target:
        target = target.format(id=half(server).rpartition("/")[2])
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    with httpx.Client(verify=_NO_CERTIFICATES, base_url=server.url, headers={"Origin": origin}) as client:
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            for fields in ({}, asked):
                answer = client.request(method, target, headers=fields)
                assert not [name for name in answer.headers if name.startswith("access-control-")], answer.request


def test_an_allowed_page_may_reach_a_private_network(app_server: Server) -> None:
    """Browsers ask before a public page may talk to a machine on a private network: ours says yes to whom it knows."""
    asked = {"Access-Control-Request-Private-Network": "true", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(app_server.files, headers={"Origin": PAGE, **asked})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-private-network"] == "true"
    stranger = httpx.options(app_server.files, headers={"Origin": "https://evil.example", **asked})
    assert stranger.status_code == 400
    assert "access-control-allow-origin" not in stranger.headers
