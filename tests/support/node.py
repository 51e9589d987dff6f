"""Node scripts of tests/e2e/node, run as processes of their own: one JSON value in, one JSON value out."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

SCRIPTS: Final = Path(__file__).parents[1] / "e2e/node"
TIMEOUT: Final = 60.0  # seconds


def run_node(script: str, task: dict[str, Any], *, timeout: float = TIMEOUT) -> Any:
    """Run `script` with `task` as its only argument; what it printed as JSON. Fails when it does, with its words."""
    command = ["node", str(SCRIPTS / script), json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{script} ended with {done.returncode}:\n{done.stderr}\n{done.stdout}"
    return json.loads(done.stdout)
