"""Freeing what an upload has in the bucket: its object, its multipart upload, its tails.

What it has is what its notes say, and then they say when all was freed. What a killed server had sent may arrive after
that, and nobody would know of it: so one more look is taken, when an S3 server takes nothing any more that was signed
before. In the end nobody asks the bucket again.
"""

import time
from typing import Final

from ferryman_protocol.model import Phase
from ferryman_server.storage import s3_calls
from ferryman_server.storage.ledger import Entry, Ledger, Notes
from ferryman_server.storage.s3_books import FREED, books_of
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_names import Names

LATE: Final = 900.0  # seconds that a request may be under way: S3 refuses those whose signature is older
_OVER: Final = "over"  # in the place of the time


def free(client: S3Client, ledger: Ledger, entry: Entry, *, published: bool) -> None:
    """Free an upload's data; its object as well when told so, or when nobody was ever told that it is there. May be
    repeated. Raises S3Error, and StoreError when the state fails."""
    if entry.target is None or entry.notes.get(FREED) == _OVER:
        return
    if FREED in entry.notes:
        if float(entry.notes[FREED]) + LATE <= time.time():
            s3_calls.abort_all(client, entry.target)
            s3_calls.delete(client, entry.target)
            ledger.note(entry.upload.id, {FREED: _OVER}, None)
        return
    unknown = entry.upload.phase is not Phase.COMPLETE  # an object may have been made without being recorded
    if unknown:
        _free_books(client, entry, entry.target)
    if published or unknown:
        s3_calls.delete(client, entry.target)
    if published or entry.upload.phase in (Phase.TERMINATED, Phase.EXPIRED):
        gone: Notes = dict.fromkeys(entry.notes)
        ledger.note(entry.upload.id, {**gone, FREED: str(time.time())}, None)


def free_tails(client: S3Client, names: Names, upload_id: str) -> None:
    """Free the tails of an upload that nobody knows. Raises S3Error."""
    for listed in list(s3_calls.walk(client, f"{names.tails}{upload_id}/")):
        s3_calls.delete(client, listed.key)


def _free_books(client: S3Client, entry: Entry, target: str) -> None:
    books = books_of(entry)
    if books.upload is not None:
        s3_calls.abort(client, target, books.upload.id)
    if books.creating:
        s3_calls.abort_all(client, target)
    for tail in books.tails:
        s3_calls.delete(client, tail.key)
