"""Does the bucket keep what is deleted?"""

from ferryman_server.checkup.findings import Finding, note
from ferryman_server.storage import s3_calls
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_errors import S3Error


def check_versions(client: S3Client) -> list[Finding]:
    """Versioning is worth a word: nothing that is deleted makes room then. Where the keys may not look, nothing is."""
    try:
        versioned = s3_calls.is_versioned(client)
    except S3Error:
        return []
    if not versioned:
        return []
    return [
        note(
            f"the bucket {client.bucket} is versioned: what Ferryman deletes (expired uploads, pieces of those under "
            "way) keeps its room there",
            "have a rule of the bucket remove noncurrent versions and expired delete markers, after a day for instance",
        )
    ]
