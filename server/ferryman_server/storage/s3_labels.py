"""What an object says about itself: whose it is, its name and type, its checksum."""

from typing import Final

from ferryman_protocol.field_values import disposition_filename
from ferryman_server.storage import s3_calls
from ferryman_server.storage.ledger import Label
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_names import Names

OWNER: Final = f"{s3_calls.META}ferryman-upload"  # the id of the upload that the object is
CODINGS: Final = ("gzip", "zstd")  # the ones that an upload's bytes may carry
_UNKNOWN: Final = ("application/octet-stream", "binary/octet-stream", "")  # what servers say when nobody told them


def label_of(client: S3Client, names: Names, key: str) -> Label | None:
    """The label of the object under this key; None: there is none. Raises S3Error."""
    head = s3_calls.head(client, key)
    if head is None:
        return None
    disposition = disposition_filename(head.fields.get("content-disposition", ""))
    media_type = head.fields.get("content-type", "")
    coding = head.fields.get("content-encoding")
    return Label(
        size=head.size,
        upload_id=head.fields.get(OWNER),
        crc64=head.crc64,
        partial=names.is_partial(key),
        filename=disposition or names.file_name_in(key),
        content_type=None if media_type in _UNKNOWN else media_type,
        content_encoding=coding if coding in CODINGS else None,
    )
