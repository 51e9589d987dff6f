"""What goes on after an upload: whoever measures waits here until all that is made of a medium is there."""

import time
from typing import Any, Final

from bench.errors import CannotMeasure
from bench.processes import family
from ferryman_server.benching.address import Address

MADE_WITHIN: Final = 120.0  # seconds
BEGUN_WITHIN: Final = 5.0  # seconds after which a medium of which nothing is wanted is taken for one without anything
GONE_WITHIN: Final = 150.0  # seconds: a jobs process ends after 60 s without work


def derived(address: Address, slug: str) -> list[dict[str, Any]]:
    """What was made of a medium, once none of it is wanted any more; nothing where nothing is made. Raises
    CannotMeasure, CannotRate."""
    began = time.monotonic()
    while time.monotonic() - began < MADE_WITHIN:
        made: list[dict[str, Any]] = address.ask("GET", f"/api/media/{slug}").document()["processing"]
        waited = time.monotonic() - began
        if all(each["state"] != "wanted" for each in made) and (made or waited > BEGUN_WITHIN):
            return made
        time.sleep(0.1)
    raise CannotMeasure(f"what is made of a medium in the background was not there after {MADE_WITHIN:.0f} s")


def await_alone(pid: int) -> None:
    """Wait until a process has no children any more. Raises CannotMeasure."""
    over = time.monotonic() + GONE_WITHIN
    while len(family(pid)) > 1:
        if time.monotonic() > over:
            raise CannotMeasure(f"the server's jobs process was still there after {GONE_WITHIN:.0f} s without work")
        time.sleep(0.2)


def slug_of(address: Address, path: str) -> str:
    """The medium that an upload has become. Raises CannotMeasure, CannotRate."""
    document = address.ask("GET", f"/api/uploads/{path.rpartition('/')[2]}").document()
    processing = document.get("processing") or {}
    if not processing.get("slug"):
        raise CannotMeasure(f"an archive has become no medium: {processing}")
    return str(processing["slug"])
