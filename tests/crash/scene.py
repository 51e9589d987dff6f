"""What everybody in a run shares."""

import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.crash.figures import Figures
from tests.crash.ledger import Flight, Ledger, Upload
from tests.crash.places import Place
from tests.crash.tints import Tints
from tests.crash.weather import Gate, Ill, Weather
from tests.support.process import Server
from tests.support.proxy import Proxy

LONGEST_STALL: Final = 2.5  # seconds that a connection stands still at most
UNSETTLED: Final = 6.0  # seconds after which nothing of a request that was given up can still be under way


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One server, one network, one set of books."""

    seed: int
    server: Server
    proxy: Proxy
    place: Place
    tints: Tints
    ledger: Ledger = field(default_factory=Ledger)
    weather: Weather = field(default_factory=Weather)
    gate: Gate = field(default_factory=Gate)
    figures: Figures = field(default_factory=Figures)
    idle: set[socket.socket] = field(default_factory=set)  # connections that clients keep for their next request

    @property
    def data(self) -> Path:
        """The server's folder, as this process sees it."""
        return self.place.data

    def contested(self, upload: Upload, began: float) -> bool:
        """Whether another request for the upload may have been at work since `began`."""
        return upload.shared or upload.deleting or began - upload.broke_at < UNSETTLED

    def excused(self, flight: Flight, *ills: Ill) -> bool:
        """Whether a request may have failed: its own connection was ill-fated, somebody else was at the upload, or one
        of these (or anything at all) was wrong."""
        return flight.fated or self.contested(flight.upload, flight.began) or self.weather.since(flight.began, *ills)


def now() -> float:
    """Seconds on the clock that all of this goes by."""
    return time.monotonic()
