"""What the tests of the doctor on a bucket share: looking, and keys with chosen rights."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin
from urllib3 import PoolManager

from ferryman_protocol.model import Phase
from ferryman_server.checkup.bucket import BucketSeen, check_bucket
from ferryman_server.checkup.findings import Finding, Level
from tests.minio import Minio
from tests.server.bucket_folder import PREFIX, Bucket
from tests.server.data_folder import record_of

DATA = b"some bytes"
SETTINGS = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def look(place: Bucket, **environment: str) -> BucketSeen:
    """The findings about the bucket, with some variables changed; nothing is left there."""
    before = place.objects()
    endpoint = environment.pop("endpoint", place.endpoint)
    settings = replace(place.settings, s3_endpoint=endpoint, store=environment.pop("store", place.settings.store))
    seen = check_bucket(settings, {**place.environment, **environment})
    assert place.objects() == before
    return seen


def bad(seen: BucketSeen) -> Finding:
    """The only finding that is wrong."""
    (finding,) = [finding for finding in seen.findings if finding.level is Level.WRONG]
    return finding


def told(findings: Sequence[Finding]) -> str:
    """All texts."""
    return "\n".join(map(str, findings))


@contextmanager
def admin(minio: Minio) -> Iterator[MinioAdmin]:
    """MinIO's administration, as root."""
    with PoolManager() as pool:
        keys = StaticProvider(minio.access_key, minio.secret_key)
        address = minio.endpoint.removeprefix("http://")
        yield MinioAdmin(endpoint=address, credentials=keys, secure=False, http_client=pool)


def documented(place: Bucket, *, without: str = "") -> list[dict[str, object]]:
    """The rights that the documentation says suffice, for this bucket; but for one."""
    (text,) = re.findall(r"```json\n(.*?)```", SETTINGS.read_text(encoding="utf-8"), re.DOTALL)
    policy = json.loads(text.replace("BUCKET", place.name).replace("PREFIX", PREFIX))
    for statement in policy["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action != without]
    found: list[dict[str, object]] = policy["Statement"]
    return found


def user(place: Bucket, statements: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """The keys of a new user with these rights, as variables."""
    name, secret = f"user-{secrets.token_hex(4)}", secrets.token_hex(16)
    with admin(place.minio) as made:
        made.user_add(name, secret)
        made.policy_add(name, policy={"Version": "2012-10-17", "Statement": list(statements)})
        made.policy_set(name, user=name)
    return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": secret}


async def fill(place: Bucket, count: int) -> None:
    """So many complete uploads."""
    async with place.folder() as folder:
        for number in range(1, count + 1):
            await folder.add(record_of(number, Phase.COMPLETE, DATA, filename=f"{number}.bin"), DATA)
