"""A real Chromium, led by a script of tests/e2e/node."""

import shutil
from typing import Any

from tests.support.node import run_node


def see(script: str, task: dict[str, Any], *, expected: tuple[str, ...] = ()) -> Any:
    """Play the script with this task; what it saw. Fails when the console complained of anything unexpected."""
    chromium = shutil.which("chromium")
    assert chromium is not None, "chromium is missing: scripts/tools chromium installs it"
    result = run_node(script, {"chromium": chromium, **task})
    surprises = [text for text in result["complaints"] if not any(words in text for words in expected)]
    assert surprises == [], result
    return result["seen"]
