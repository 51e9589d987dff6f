"""Real clients that bring a whole file to a server over a network that breaks, each in the way its users are told.

All have the same shape: where the server is reached, the file, the name it is to have there; they return the path of
the upload, complete, or fail. What breaks in between is theirs to mend: a client that tries again by itself is let;
with the others a person asks how far the upload has come, and sends the rest.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
from tusclient.client import TusClient

from tests.support.browser import see
from tests.support.curl import Curled, curl
from tests.support.node import run_node
from tests.support.process import eventually
from tests.support.proxy import Proxy

Client: TypeAlias = Callable[[Proxy, Path, str], str]

TRIES: Final = 200  # requests for one upload; with the pauses they hold out while a server starts again
PAUSE: Final = 0.05  # seconds between two of them
DELAYS: Final = [0, 100, 200, 300, 500, 1000, 2000, 4000]  # milliseconds; likewise
TUS_JS: Final = Path(__file__).parents[2] / "client_js/node_modules/tus-js-client/dist/tus.min.js"
PARTIAL: Final = {"Content-Type": "application/partial-upload"}
COMPLETE: Final = {"Upload-Complete": "?1"}
INCOMPLETE: Final = {"Upload-Complete": "?0"}
INTEROP: Final = {"Upload-Draft-Interop-Version": "8"}
# What a console says of the breaks, of a PATCH that Chromium itself sends again, and of the icon there is not.
BREAKS: Final = ("net::ERR_", "status of 409", "status of 404")


def tus_js(proxy: Proxy, file: Path, name: str) -> str:
    """tus-js-client in Node, by its own retries."""
    options = {"endpoint": proxy.files, "metadata": {"filename": name}, "retryDelays": DELAYS}
    result = run_node("upload.mjs", {"file": str(file), "source": "file", "options": options})
    assert result["outcome"] == "success", result
    return _path(result["url"])


def tus_js_in_chromium(proxy: Proxy, file: Path, name: str) -> str:
    """tus-js-client in a page, by its own retries; what it sends is a file that was chosen there."""
    options = {"metadata": {"filename": name}, "retryDelays": DELAYS, "storeFingerprintForResuming": False}
    task = {"url": f"{proxy.url}/healthz", "endpoint": proxy.files, "script": str(TUS_JS), "file": str(file)}
    seen = see("archives.mjs", {**task, "options": options}, expected=BREAKS)
    assert seen["error"] is None, seen
    return _path(seen["url"])


def tuspy(proxy: Proxy, file: Path, name: str) -> str:
    """tuspy, by its own retries."""
    with file.open("rb") as stream:
        uploader = TusClient(proxy.files).uploader(
            file_stream=stream, metadata={"filename": name}, retries=TRIES, retry_delay=PAUSE
        )
        uploader.upload()
    assert uploader.url is not None
    return _path(uploader.url)


def curl_by_hand(proxy: Proxy, file: Path, name: str) -> str:
    """curl in the IETF protocol: one POST with the file in it, then HEAD and PATCH as often as it takes.

    It waits for the 100 (Continue): a 104 with the path comes before it, which no later break can take away.
    """
    named = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Type": "application/zip"}
    fields = _fields(INTEROP, COMPLETE, named, {"Expect": "100-continue"})
    sent = curl("-X", "POST", *fields, "--expect100-timeout", "20", "--data-binary", f"@{file}", proxy.files)
    path = sent.location()
    for _ in range(TRIES):
        if sent.exit == 0:
            assert sent.final.headers["upload-complete"] == "?1", sent
            return path
        offset = _asked(proxy.url + path).final.headers["upload-offset"]
        fields = _fields(INTEROP, COMPLETE, PARTIAL, {"Upload-Offset": offset})
        rest = file.read_bytes()[int(offset) :]
        sent = curl("-X", "PATCH", *fields, "--data-binary", "@-", proxy.url + path, stdin=rest)
    raise AssertionError(f"curl did not come to an end: {sent}")


def httpx_by_hand(proxy: Proxy, file: Path, name: str) -> str:
    """httpx in the IETF protocol: an empty creation, then HEAD and PATCH as often as it takes."""
    named = {"Content-Disposition": f'attachment; filename="{name}"'}
    whole = file.read_bytes()
    with httpx.Client(base_url=proxy.url) as client:
        path = str(client.post("/files/", headers={**INCOMPLETE, **named}).headers["location"])
        for _ in range(TRIES):
            try:
                offset = client.head(path).headers["upload-offset"]
                fields = {**PARTIAL, **COMPLETE, "Upload-Offset": offset}
                answer = client.patch(path, headers=fields, content=whole[int(offset) :])
            except httpx.TransportError:
                eventually(lambda: _answers(client))
                continue
            assert (answer.status_code, answer.headers["upload-complete"]) == (201, "?1"), answer.text
            return path
    raise AssertionError("httpx did not come to an end")


CLIENTS: Final[Mapping[str, Client]] = {
    "tus-js-client": tus_js,
    "tus-js-client in Chromium": tus_js_in_chromium,
    "tuspy": tuspy,
    "curl": curl_by_hand,
    "httpx": httpx_by_hand,
}


def _path(url: Any) -> str:
    return "/files/" + str(url).rpartition("/")[2]


def _fields(*groups: Mapping[str, str]) -> list[str]:
    """Fields as curl's command line has them."""
    return [word for group in groups for name, value in group.items() for word in ("-H", f"{name}: {value}")]


def _asked(url: str) -> Curled:
    """The answer to HEAD, once there is one."""
    heads: list[Curled] = []

    def answered() -> bool:
        heads.append(curl("-I", url))
        return heads[-1].exit == 0

    eventually(answered)
    return heads[-1]


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False
