"""docs/reference/openapi.json is true: it has our routes, and every answer that our other descriptions know."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from starlette.routing import Route

from ferryman_protocol import problems
from ferryman_protocol._version import __version__
from ferryman_protocol.model import Phase
from ferryman_protocol.problems import CATALOGUE, type_uri
from ferryman_server.api import Api
from ferryman_server.app import create_app
from ferryman_server.backends import open_backends
from ferryman_server.media_api import MediaApi
from ferryman_server.media_endpoint import MediaEndpoint
from ferryman_server.metrics import Metrics
from ferryman_server.settings import Settings
from ferryman_server.site import page_routes
from ferryman_server.uploads import Uploads
from tests.fuzz.budget import ROUND
from tests.fuzz.corpus import VECTORS, situations
from tests.fuzz.deciding import decide
from tests.fuzz.description import PROBLEM, Description, Json, Operation
from tests.fuzz.request_text import Situation
from tests.fuzz.strategies import any_situation

API = Description()
UPLOADS, UPLOAD = "/files/", "/files/{id}"
CODES = {type_uri(kind): kind for kind in CATALOGUE.values()}

# What can be told of any request, before anyone has looked what it is about.
ANY_REQUEST = ("bad-request", "slow-header", "header-too-large", "unknown-transfer-coding", "crowded")
GUARD = ("unauthorised", "forbidden", "too-many-requests")
CONTENT = (
    *("body-stalled", "disconnected", "superseded", "shutting-down", "storage-full", "storage-unavailable"),
    *("checksum-mismatch", "content-digest-mismatch", "digest-mismatch"),
    *("corrupt-encoding", "truncated-encoding", "window-too-large", "exceeds-max-size", "exceeds-max-append-size"),
)

JSON_CONTENT = (
    *("body-stalled", "disconnected", "shutting-down", "storage-unavailable"),
    *("unsupported-media-type", "unsupported-coding", "content-too-large", "invalid-content"),
)


def codes(operation: Operation) -> set[str]:
    """The rows of the catalogue that an operation's refusals can be."""
    return {CODES[uri].code for uri in operation.types}


def assert_described(method: str, path: str, status: int, code: str | None) -> None:
    """The description knows this answer. Methods that it does not have are answered 405, and are no part of it."""
    operation = API.find(method, path)
    if operation is None:
        return
    assert status in operation.answers, f"{method} {path} does not tell of {status} ({code})"
    if code is not None:
        assert type_uri(CATALOGUE[code]) in operation.answers[status], f"{method} {path} does not tell of {code}"


def place(situation: Situation) -> tuple[str, str]:
    """Method and path that a request is described under."""
    request = situation.request
    return request.method, UPLOADS if request.upload_id is None else UPLOAD


def overridden(situation: Situation) -> bool:
    """Whether another method is meant than the request has; described for POST to an upload only."""
    return "x-http-method-override" in situation.request.headers and place(situation) != ("POST", UPLOAD)


def test_it_describes_this_version_and_nothing_twice() -> None:
    """Version, operation names and references are sound, and nothing is left over among the components."""
    assert API.document["openapi"] == "3.1.0"
    assert API.document["info"]["version"] == __version__
    assert max(Counter(each.id for each in API.operations).values()) == 1
    for reference in API.references():
        API.resolved({"$ref": reference})
    kinds = API.document["components"].items()
    assert {f"#/components/{kind}/{name}" for kind, named in kinds for name in named} == API.references()


def test_it_has_every_route_and_no_other() -> None:
    """Our upload URLs, the routes of the API, of the library and of the page, with their methods. What the page is made
    of is one matter, however many files that are: one script and one style are described."""
    settings = Settings(store="memory")
    backends = open_backends(settings)
    house = create_app(settings, backends=backends).house
    backends.close()
    library = [*MediaApi(house, Uploads(house)).routes(), *MediaEndpoint(house).routes()]
    routes = [
        route for route in [*Api(house, Metrics()).routes(), *library, *page_routes()] if isinstance(route, Route)
    ]
    parts = {route.path for route in page_routes() if isinstance(route, Route) and route.path.endswith((".js", ".css"))}
    routes = [route for route in routes if route.path not in parts - {"/page.js", "/page.css"}]
    served = {(method, route.path) for route in routes for method in (route.methods or ()) if method != "HEAD"}
    assert {UPLOADS, UPLOAD} | {path for _, path in served} == set(API.document["paths"])
    assert {(each.method, each.path) for each in API.operations if each.path not in (UPLOADS, UPLOAD)} == served
    methods = {path: {each.method for each in API.operations if each.path == path} for path in (UPLOADS, UPLOAD)}
    assert methods[UPLOADS] == {"OPTIONS", "POST", "PUT", "PATCH"}
    assert methods[UPLOAD] == {"OPTIONS", "HEAD", "GET", "PATCH", "DELETE", "POST"}


def test_it_has_every_row_of_the_catalogue_under_its_status() -> None:
    """Each refusal is told where it can come, with the status it comes with, and there are no others."""
    told = set[str]()
    for operation in API.operations:
        for status, types in operation.answers.items():
            assert all(CODES[uri].status == status for uri in types), (operation.id, status)
            assert (status >= 400) == bool(types), f"{operation.id}: {status} has no problem types"
        told |= codes(operation)
    assert told == set(CATALOGUE)
    for name, response in API.document["components"]["responses"].items():
        own = response.get("content", {}).get(PROBLEM, {}).get("schema", {}).get("allOf", [{}, {}])[1]
        types = own.get("properties", {}).get("type", {})
        for uri in types.get("enum", [types["const"]] if "const" in types else []):
            assert own["properties"]["status"] == {"const": CODES[uri].status}, name


def test_each_operation_has_the_refusals_of_its_kind() -> None:
    """What any request, any guarded one, and any one with content can be told is told by each such operation."""
    for operation in API.operations:
        assert codes(operation) >= set(ANY_REQUEST), operation.id
        about_uploads = operation.path in (UPLOADS, UPLOAD)
        if about_uploads:
            assert "internal" in codes(operation), operation.id
        if operation.method != "OPTIONS" and (about_uploads or operation.path.startswith("/api/")):
            assert codes(operation) >= set(GUARD), operation.id
        if operation.method in ("POST", "PUT", "PATCH") and about_uploads:
            assert codes(operation) >= set(CONTENT), operation.id
        if operation.method in ("PUT", "PATCH") and not about_uploads:
            assert codes(operation) >= set(JSON_CONTENT), operation.id
        if operation.method not in ("GET", "OPTIONS") and not about_uploads:
            assert "foreign-page" in codes(operation), operation.id


def test_it_knows_the_answers_of_the_vectors() -> None:
    """Every decision in protocol/vectors ends in an answer that its operation tells of."""
    for situation in situations():
        if not overridden(situation):
            reply = decide(situation).reply
            code = reply.problem.kind.code if reply.problem else None
            assert_described(*place(situation), reply.status, code)


@ROUND
@given(any_situation())
def test_it_knows_the_answers_to_any_request(situation: Situation) -> None:
    """So does every decision about requests that are mutated or made up."""
    if situation.request.method.isupper() and not overridden(situation):
        reply = decide(situation).reply
        code = reply.problem.kind.code if reply.problem else None
        assert_described(*place(situation), reply.status, code)


@pytest.mark.parametrize("file", ["tus1.json", "rufh.json", "negotiate.json"])
def test_it_knows_what_the_server_raises_in_the_vectors(file: str) -> None:
    """The rows that a server meets while the bytes move are told for those requests."""
    for case in json.loads((VECTORS / file).read_text("utf-8"))["cases"]:
        if "raised" in case:
            kind = CATALOGUE[case["raised"]]
            path = UPLOADS if case["request"]["upload"] is None else UPLOAD
            assert_described(case["request"]["method"], path, kind.status, kind.code)


def test_it_knows_the_answers_of_the_conversations() -> None:
    """Every answer that a live server gives in protocol/vectors/conversations.json is told."""
    seen = 0
    for request, expected in conversed():
        path = request["target"].partition("?")[0]
        overrides = any(name.lower() == "x-http-method-override" for name, _ in request["headers"])
        path = UPLOADS if path in ("/files", "/files/") else UPLOAD
        if (overrides and (request["method"], path) != ("POST", UPLOAD)) or request["target"] == "*":
            continue
        statuses = expected["status"] if isinstance(expected["status"], list) else [expected["status"]]
        for status in statuses:
            assert_described(request["method"], path, status, expected.get("problem"))
        seen += 1
    assert seen > 100


def conversed() -> Iterator[tuple[Json, Json]]:
    """The requests of the conversations with the final answers that they expect at once."""
    for case in json.loads((VECTORS / "conversations.json").read_text("utf-8"))["cases"]:
        for step in case["steps"]:
            if "send" in step and "status" in step.get("expect", {}):
                yield {"headers": [], **step["send"]}, step["expect"]


def test_its_phases_are_those_of_the_protocol() -> None:
    """The list's `phase` can be any that an upload can be in."""
    told = API.document["components"]["schemas"]["Upload"]["properties"]["phase"]["enum"]
    assert told == [phase.value for phase in Phase]


def test_its_problems_are_those_we_write() -> None:
    """A problem document has what the description asks for, and nothing that it does not know."""
    schema = API.document["components"]["schemas"]["Problem"]
    for kind in CATALOGUE.values():
        document = problems.document(problems.Problem(kind=kind, detail="why"), instance="/")
        assert set(schema["required"]) <= set(document)
        assert set(document) <= set(schema["properties"])
