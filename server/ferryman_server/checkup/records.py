"""Database and files: do they belong together, do the times make sense, and is every complete upload what it was."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from ferryman_protocol.model import Phase
from ferryman_server.checkup.findings import Finding, note, ok, wrong
from ferryman_server.commands.looking import newest, reading
from ferryman_server.humane import human_size, printable
from ferryman_server.settings import Settings
from ferryman_server.state.base import Record, State, StateError
from ferryman_server.state.sqlite import StoreMismatch
from ferryman_server.storage.base import Store, StoreError
from ferryman_server.storage.identity import read_store_id
from ferryman_server.storage.local import LocalStore
from ferryman_server.threads import in_thread

AHEAD: Final = 60.0  # seconds a row may lie in the future before the clock is doubted
SHOWN: Final = 20  # damaged uploads told one by one


async def check_records(settings: Settings, now: float, *, verify: bool) -> list[Finding]:
    """Everything about the database and the files; `verify` reads every complete upload back."""
    database, own_id = settings.data / "state.db", settings.data / "store.toml"
    try:
        has_id = settings.store != "local" or read_store_id(settings.data) is not None
    except StoreError as error:
        return [wrong(str(error), "without it the server does not start")]
    if not database.exists() and not has_id:
        return [ok("no server has run on this folder yet")]
    if not has_id:
        return [wrong(f"{own_id} is missing", "bring it back from a backup; without it the server does not start")]
    if not database.exists():
        return [note(f"{database} is missing: the files have no rows", "restore it, or see ferryman gc --dry-run")]
    try:
        async with reading(settings) as state:
            return await _with_state(settings, state, now, verify=verify)
    except StoreMismatch as error:
        return [wrong(str(error), f"restore {database} and the files from the same backup")]
    except StateError as error:
        return [wrong(str(error), "the server does not start with it")]


async def _with_state(settings: Settings, state: State, now: float, *, verify: bool) -> list[Finding]:
    counts = await state.counts()
    findings = [ok(f"the database can be read and belongs to this folder: {sum(counts.values())} uploads")]
    findings += [_ahead(record, now) async for record in newest(state, 1) if record.created_at > now + AHEAD]
    if counts.get(Phase.FAILED):
        findings.append(note(f"{counts[Phase.FAILED]} uploads have failed", "ferryman ls --json tells the reasons"))
    if verify and settings.store == "local":
        findings += await verified(state, LocalStore(settings.data))
    return findings


def _ahead(record: Record, now: float) -> Finding:
    hours = (record.created_at - now) / 3600
    return wrong(
        f"the newest upload was made {hours:.1f} hours in the future: the clock was, or is, wrong",
        "set the clock; uploads made meanwhile expire later than they should",
    )


@dataclass(slots=True)
class _Tally:
    """What the verification has seen."""

    uploads: int = 0
    size: int = 0  # bytes
    damaged: list[str] = field(default_factory=list)


async def verified(state: State, store: Store) -> list[Finding]:
    """Read every complete upload back and hold its length and CRC64/NVME against its row."""
    tally, suspects = _Tally(), []
    sizes = await _sizes(state, store)
    async for record in _complete(state):
        if await in_thread(_damage, store, record, sizes.get(record.upload.id)) is not None:
            suspects.append(record)
        tally.uploads += 1
        tally.size += record.upload.offset
    sizes = await _sizes(state, store) if suspects else sizes  # a server beside us may have been about to write them
    for record in suspects:
        damage = await in_thread(_damage, store, record, sizes.get(record.upload.id))
        if damage is not None and await _still_complete(state, record):
            name = f" ({printable(record.upload.filename)})" if record.upload.filename else ""
            tally.damaged.append(f"upload {record.upload.id}{name}: {damage}")
    findings = [
        wrong(text, "restore its file from a backup, or delete the upload and have it sent again")
        for text in tally.damaged[:SHOWN]
    ]
    if len(tally.damaged) > SHOWN:
        findings.append(wrong(f"{len(tally.damaged) - SHOWN} more uploads are damaged", "see the ones above"))
    summary = f"read back {tally.uploads} complete uploads, {human_size(tally.size)}"
    return findings or [ok(f"{summary}: every length and CRC64/NVME is right")]


async def _sizes(state: State, store: Store) -> dict[str, int]:
    """The sizes of all files, but not of small uploads that are still to be written to theirs: those are recalled."""
    from ferryman_server.settling import recall  # here, since the server's packages may be missing

    recalled = await recall(state, store)
    strays = await in_thread(lambda: [stray for stray in store.strays() if stray.published])
    return {stray.upload_id: stray.size for stray in strays if stray.upload_id not in recalled}


async def _complete(state: State) -> AsyncIterator[Record]:
    async for record in newest(state):
        if record.upload.phase is Phase.COMPLETE:
            yield record


async def _still_complete(state: State, record: Record) -> bool:
    """Deleted while it was read, an upload is not damaged."""
    now = await state.get(record.upload.id)
    return now is not None and now.upload.phase is Phase.COMPLETE


def _damage(store: Store, record: Record, size: int | None) -> str | None:
    from ferryman_server.unclaimed import crc64_of  # here, since the digests' package may be missing

    length = record.upload.offset
    if size is not None and size != length:
        return f"its file has {size} bytes, its row says {length}"
    try:
        crc64 = crc64_of(store, record.upload.id, length)
    except StoreError as error:
        return str(error)
    if crc64 != record.crc64:
        return f"its CRC64/NVME is {crc64:016x}, its row says {record.crc64:016x}: bytes have changed"
    return None
