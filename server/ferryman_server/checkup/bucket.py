"""The bucket of an S3 store: does its server answer, do the keys open it, may they do what a server has to, does the
server keep its promises, and is it the place that the database belongs to.

What has to be tried is tried with small objects of the doctor's own (:mod:`probe`), which are gone at the end.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from ferryman_server.checkup.bucket_access import check_bucket_access, check_clock, reach
from ferryman_server.checkup.bucket_links import check_links
from ferryman_server.checkup.bucket_promises import check_promises
from ferryman_server.checkup.bucket_rights import check_rights
from ferryman_server.checkup.bucket_speed import check_speed
from ferryman_server.checkup.bucket_sweep import check_sweep
from ferryman_server.checkup.bucket_versions import check_versions
from ferryman_server.checkup.findings import Finding, Level, ok, wrong
from ferryman_server.checkup.probe import patiently, probing
from ferryman_server.s3_opening import endpoint, missing_keys, place, s3_client, s3_links
from ferryman_server.settings import Settings
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.s3_client import S3Client
from ferryman_server.storage.s3_identity import read_identity
from ferryman_server.storage.s3_links import Links
from ferryman_server.storage.s3_names import Names


@dataclass(slots=True)
class BucketSeen:
    """What was found."""

    findings: list[Finding] = field(default_factory=list)
    usable: bool = False  # it answers, and the keys open it
    store_id: str | None = None  # None: no server has kept uploads there

    def add(self, findings: list[Finding]) -> bool:
        """Note these; whether nothing of them is wrong."""
        self.findings += findings
        return not any(finding.level is Level.WRONG for finding in findings)


def check_bucket(settings: Settings, environ: Mapping[str, str] = os.environ) -> BucketSeen:
    """Everything about the bucket, until something is so wrong that the rest cannot be tried."""
    seen = BucketSeen()
    if not seen.add(_keys(settings, environ)):
        return seen
    reached, server = reach(endpoint(settings, environ))
    if not seen.add([reached]) or server is None:
        return seen
    seen.add([check_clock(server)])
    client = s3_client(settings, environ)
    names = Names(place(settings)[1], settings.s3_key)
    try:
        seen.usable = seen.add(check_bucket_access(client, names, environ))
        if seen.usable:
            _look_inside(seen, client, names, s3_links(settings, environ))
            seen.add([*check_versions(client), *check_sweep(settings, server, environ)])
    finally:
        client.close()
    return seen


def _keys(settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    missing = missing_keys(environ)
    if not missing:
        return []
    return [
        wrong(
            f"{settings.store} needs the variables {' and '.join(missing)}: the keys to the bucket",
            "set them where the server runs, and here for doctor; they are no settings of Ferryman's and have no flags",
        )
    ]


def _look_inside(seen: BucketSeen, client: S3Client, names: Names, links: Links | None) -> None:
    with probing(client, names) as probe:
        seen.usable = seen.add(check_rights(probe))
        if seen.usable:
            seen.add([*check_promises(probe), *check_links(probe, links), *check_speed(probe)])
    seen.add(probe.left)
    if seen.usable:
        seen.usable = seen.add(_identity(seen, client, names))


def _identity(seen: BucketSeen, client: S3Client, names: Names) -> list[Finding]:
    try:
        seen.store_id = patiently(lambda: read_identity(client, names.identity))
    except StoreError as error:
        return [wrong(f"the id of the store cannot be read: {error}", "without it the server does not start")]
    if seen.store_id is not None:
        return []  # whether it is the right one is seen by the database
    return [ok(f"no server has kept uploads below {client.bucket}/{names.root} yet; serve makes its id there")]
