"""A real server under schemathesis: it answers everything that docs/reference/openapi.json describes, as described.

Every operation is called with values at and beyond the edges of its description, with random ones, and in sequences in
which one request uses what another has made. Whatever comes: an answer in time, never a server's mistake, a status, a
content type, header fields and a document that the description has, and afterwards the server is as sound as before.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.fuzz.budget import SEED, patience, share
from tests.fuzz.description import PATH, Description
from tests.server.media_api_rig import CONTENT, archive, metadata
from tests.support.probing import unharmed
from tests.support.process import eventually, serving

ROOT = Path(__file__).parents[2]
SECONDS = max(5, round(share(50)))  # schemathesis takes whole ones
HANG = 10  # seconds without an answer
APPENDED = 100  # bytes, at most in one request
LIMITS = ("--max-size", "1000", "--max-append-size", str(APPENDED), "--body-timeout", "2s", "--durability", "os")
EDITED = re.compile(r'"method": "PATCH", "path": "/api/media/[^"]+", "status": (200|409|422)')
CHECKS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    *("is_no_mistake", "tells_only_what_it_may"),  # our own, in openapi_hooks.py
)


def run(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run schemathesis against the server at this URL; what it leaves behind goes into the folder."""
    command = [
        *(str(Path(sys.executable).with_name("st")), "run", str(PATH), "--url", url, "--checks", ",".join(CHECKS)),
        *("--seed", str(SEED), "--max-time", str(SECONDS), "--request-timeout", str(HANG)),
        *("--generation-database", "none", "--suppress-health-check", "all", "--no-shrink", "--continue-on-failure"),
        *("--warnings", "off", "--no-color"),
    ]
    # Found are the hooks, and no configuration but the command's.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.fuzz.openapi_hooks", "COLUMNS": "120"}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=SECONDS + 60
    )


def stock(url: str) -> None:
    """Fill the library: most are pictures, which one request makes, and some are archives of frames."""
    for n in range(24):
        content = archive(2) if n % 4 == 0 else b"no matter what"
        fields = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(content)),
            "Upload-Metadata": metadata({"filename": f"moon {n}.{'png' if n % 4 else 'zip'}"}),
        }
        upload = httpx.post(f"{url}/files/", headers=fields).headers["location"]
        for offset in range(0, len(content), APPENDED):
            fields = {**CONTENT, "Upload-Offset": str(offset)}
            piece = content[offset : offset + APPENDED]
            assert httpx.patch(f"{url}{upload}", content=piece, headers=fields).status_code == 204
    eventually(lambda: len(httpx.get(f"{url}/api/media").json()["media"]) == 24)


@patience(SECONDS)
def test_the_server_answers_as_it_is_described(tmp_path: Path) -> None:
    """No 500, no hang, nothing that the description does not tell; the server still works, and its log has no trace."""
    with serving(tmp_path / "data", *LIMITS) as server, unharmed(server):
        stock(server.url)
        done = run(server.url, tmp_path)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert f"Tested: {len(Description().operations)}\n" in done.stdout, done.stdout[-3000:]
        # The requests reached what is behind the first checks.
        newest = httpx.get(f"{server.url}/api/uploads").json()["uploads"][0]
        assert newest["filename"] is None or not newest["filename"].startswith("moon"), "no upload was made"
        assert EDITED.search(server.log()), "no edit of a medium was looked at"
