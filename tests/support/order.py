"""Which files of tests begin first.

`make test` hands whole files to its processes: a long one that came last would keep the others waiting.
"""

from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]

# By what they took on two processors. Files that mostly wait stand beside such as mostly compute.
LONGEST: Final = (
    "s3/test_matrix.py",
    "e2e/test_archives_clients.py",
    "crash/test_crash_machine.py",
    "fuzz/test_guided.py",
    "s3/test_concatenation.py",
    "e2e/test_slow_clients.py",
    "bench/test_rounds.py",
    "e2e/test_archives_live.py",
    "e2e/test_page.py",
    "e2e/test_media_player.py",
    "fuzz/test_openapi_live.py",
    "e2e/test_graceful_stop.py",
    "crash/test_crash_minio.py",
    "e2e/test_kill.py",
    "e2e/test_media_arriving.py",
    "s3/test_two_servers.py",
    "e2e/test_console.py",
    "s3/test_late.py",
    "power/test_failing_syncs.py",
    "power/test_power_cut.py",
    "e2e/test_media_library.py",
    "e2e/test_tus_js.py",
    "e2e/test_events_live.py",
    "test_repository.py",
    "e2e/test_expiry.py",
    "fuzz/test_core.py",
    "server/media/test_zip_index.py",
    "zips/test_build.py",
    "server/state/test_sqlite_media.py",
    "bench/test_main.py",
    "server/media/test_atomic_folder.py",
    "server/media/test_indexer.py",
    "e2e/test_bad_input.py",
    "server/test_event_machine.py",
)


def place(file: Path) -> int:
    """Where a file stands among the longest; those that are not among them share the place behind."""
    return _PLACES.get(file, len(_PLACES))


_PLACES: Final = {TESTS / name: number for number, name in enumerate(LONGEST)}
