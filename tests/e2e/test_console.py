"""MinIO's console in a real Chromium: what was stored is what a person finds there."""

import io
import random
import re
from pathlib import Path
from typing import Final

from tests.minio import Minio
from tests.s3.scene import Scene
from tests.support.console import browse
from tests.support.raw_http import RawClient, head
from tests.support.uploading import TUS, id_of

FOLDER: Final = "2026-11-22/abcdefghijklmnopqrstuvwxyz/"
NAME: Final = "Film über Nacht.zip"
CONTENT: Final = bytes(range(256)) * 5000  # 1.2 MiB
METADATA: Final = "Upload-Metadata: filename RmlsbSDDvGJlciBOYWNodC56aXA=,filetype YXBwbGljYXRpb24vemlw"
PNG: Final = b"\x89PNG\r\n\x1a\n"


def put(server: Minio, bucket: str, key: str, content: bytes, kind: str, **metadata: str) -> str:
    """Store an object; its ETag."""
    stored = server.client().put_object(
        bucket, key, io.BytesIO(content), len(content), content_type=kind, metadata=dict(metadata)
    )
    assert stored.etag is not None
    return stored.etag


def test_an_object_is_listed_with_its_size_type_and_metadata(minio: Minio, bucket: str, tmp_path: Path) -> None:
    """Name, size and date stand in the list; its details have the content type; there is a picture of it."""
    fields = {"Content-Disposition": "attachment", "note": "over night"}
    etag = put(minio, bucket, FOLDER + NAME, CONTENT, "application/zip", **fields)
    picture = tmp_path / "console.png"
    folder = browse(minio, bucket, FOLDER, choose=NAME, picture=picture)
    (row,) = folder.rows
    assert (row.key, row.name, row.size) == (FOLDER + NAME, NAME, "1.2 MiB")
    assert re.search(r"\b\d\d:\d\d\b", row.modified), row
    assert folder.bytes == {FOLDER + NAME: len(CONTENT)}
    assert {name: folder.details[name] for name in ("Name", "Size", "ETAG")} == {
        "Name": NAME,
        "Size": "1.2 MiB",
        "ETAG": etag,
    }
    assert folder.metadata == {
        "Content-Disposition": "attachment",
        "Content-Type": "application/zip",
        "X-Amz-Meta-Note": "over night",
    }
    assert picture.read_bytes().startswith(PNG)


def test_a_finished_upload_is_found_by_a_person(minio: Minio, bucket: str, tmp_path: Path) -> None:
    """What a client uploaded, in parts, through cuts: under its name, with its size and its type."""
    whole = random.Random(1).randbytes(20 << 20)
    with Scene(minio, bucket, tmp_path / "data").played() as scene:
        with RawClient(scene.server.port) as client:
            client.send(head("POST", "/files/", TUS, f"Upload-Length: {len(whole)}", METADATA, "Content-Length: 0"))
            path = client.responses()[-1].headers["location"]
        for start, stop in ((0, 3 << 20), (3 << 20, 17 << 20), (17 << 20, 20 << 20)):
            assert scene.send(path, start, stop, whole=whole).status == 204
        (key,) = scene.keys()
    folder, _, name = key.rpartition("/")
    picture = tmp_path / "console.png"
    seen = browse(minio, bucket, f"{folder}/", choose=name, picture=picture)
    assert [(row.name, row.size) for row in seen.rows] == [(NAME, "20.0 MiB")]
    assert seen.bytes == {key: len(whole)}
    assert seen.metadata["Content-Type"] == "application/zip"
    assert seen.metadata["X-Amz-Meta-Ferryman-Upload"] == id_of(path)
    assert id_of(path) in folder


def test_folders_are_listed_above_what_is_in_them(minio: Minio, bucket: str) -> None:
    """The root of the bucket shows the first parts of the keys, once each, and objects beside them."""
    for key in ("a/1", "a/2", "b/c/3", "<b>&amp;"):
        put(minio, bucket, key, b"12345", "text/plain")
    folder = browse(minio, bucket)
    assert {(row.name, row.size) for row in folder.rows} == {("a", "-"), ("b", "-"), ("<b>&amp;", "5.0 B")}
    assert folder.bytes == {"<b>&amp;": 5}
    assert (folder.details, folder.metadata) == ({}, {})


def test_an_empty_folder_has_no_rows(minio: Minio, bucket: str) -> None:
    """Neither has a bucket in which nothing was stored."""
    assert browse(minio, bucket, "nowhere/").rows == ()
