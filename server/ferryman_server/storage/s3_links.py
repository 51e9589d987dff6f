"""Links to objects that hold for a while and need no keys: made by the `minio` package, without asking anybody."""

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from minio import Minio

from ferryman_server.storage.s3_signing import Keys

VALID: Final = timedelta(hours=1)  # a download that is broken off later than that comes back to us for another


class Links:
    """Makes links into one bucket."""

    def __init__(self, endpoint: str, bucket: str, keys: Keys, region: str) -> None:
        """`endpoint`: as clients reach it; the signature is for that host."""
        address = urlsplit(endpoint)
        self.endpoint = endpoint
        self._bucket = bucket
        self._client = Minio(  # with a region it asks nobody for one
            address.netloc,
            access_key=keys.access,
            secret_key=keys.secret,
            session_token=keys.token,
            secure=address.scheme == "https",
            region=region,
        )

    def to(self, key: str) -> str:
        """The URL from which the object can be had until VALID is over."""
        return self._client.get_presigned_url("GET", self._bucket, key, expires=VALID)
