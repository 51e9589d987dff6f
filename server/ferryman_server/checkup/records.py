"""The database: does it belong to what the store holds, and do the times in it make sense."""

from typing import TYPE_CHECKING, Final

from ferryman_protocol.model import Phase
from ferryman_server.backends import found_backends, opened
from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.checkup.reading_back import verified
from ferryman_server.commands.looking import newest, reading
from ferryman_server.settings import Settings
from ferryman_server.state.base import Record, State, StateError
from ferryman_server.state.sqlite import StoreMismatch
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.identity import read_store_id

if TYPE_CHECKING:  # its packages belong to an extra of their own
    from ferryman_server.checkup.bucket import BucketSeen

AHEAD: Final = 60.0  # seconds a row may lie in the future before the clock is doubted


async def check_records(
    settings: Settings, now: float, *, verify: bool, bucket: "BucketSeen | None" = None
) -> list[Finding]:
    """Everything about the database and what its rows tell of; `verify` reads every complete upload back. `bucket`:
    what was seen of it; None: nothing could be."""
    database = settings.data / "state.db"
    try:
        has_id = _has_id(settings, bucket)
    except StoreError as error:
        return [wrong(str(error), "without it the server does not start")]
    if not database.exists() and not has_id:
        return [ok("no server has run on this folder yet")]
    if has_id is False:
        return [wrong(*_missing_id(settings))]
    if not database.exists():
        what = "objects" if settings.in_bucket else "files"
        return [note(f"{database} is missing: the {what} have no rows", "restore it, or see ferryman gc --dry-run")]
    try:
        if has_id is None:
            return await _alone(settings, now, verify=verify)
        return await _together(settings, now, verify=verify)
    except StoreMismatch as error:
        return [wrong(str(error), f"restore {database} and the files from the same backup")]
    except StateError as error:
        return [wrong(str(error), "the server does not start with it")]


def _has_id(settings: Settings, bucket: "BucketSeen | None") -> bool | None:
    """Whether the store has been used before; None: that cannot be seen."""
    if settings.in_bucket:
        return bucket.store_id is not None if bucket is not None and bucket.usable else None
    return settings.store != "local" or read_store_id(settings.data) is not None


def _missing_id(settings: Settings) -> tuple[str, str]:
    """What is missing, and what to do."""
    if settings.in_bucket:
        own = f"{settings.store.rstrip('/')}/.ferryman/store.toml"
        otherwise = "correct the setting store if it is wrong"
    else:
        own = str(settings.data / "store.toml")
        otherwise = "name the bucket with --store if the uploads are in one"
    return f"{own} is missing", f"{otherwise}; else bring it back from a backup, the server does not start without it"


async def _alone(settings: Settings, now: float, *, verify: bool) -> list[Finding]:
    async with reading(settings) as state:
        findings = await _rows(state, now, "can be read")
    if verify:
        findings.append(wrong("no upload can be read back, since the bucket cannot be used", "mend that first"))
    return findings


async def _together(settings: Settings, now: float, *, verify: bool) -> list[Finding]:
    if settings.store == "memory":
        return await _alone(settings, now, verify=False)
    where = "bucket" if settings.in_bucket else "folder"
    async with opened(found_backends(settings, readonly=True)) as backends:
        findings = await _rows(backends.state, now, f"can be read and belongs to this {where}")
        return [*findings, *(await verified(backends.state, backends.store) if verify else ())]


async def _rows(state: State, now: float, what: str) -> list[Finding]:
    counts = await state.counts()
    findings = [ok(f"the database {what}: {sum(counts.values())} uploads")]
    findings += [_ahead(record, now) async for record in newest(state, 1) if record.created_at > now + AHEAD]
    if counts.get(Phase.FAILED):
        findings.append(note(f"{counts[Phase.FAILED]} uploads have failed", "ferryman ls --json tells the reasons"))
    return findings


def _ahead(record: Record, now: float) -> Finding:
    hours = (record.created_at - now) / 3600
    return wrong(
        f"the newest upload was made {hours:.1f} hours in the future: the clock was, or is, wrong",
        "set the clock; uploads made meanwhile expire later than they should",
    )
