"""Archives that come with a Content-Encoding: told apart, and their clients told why there are no frames."""

import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.coded import LOOKED_AT, begins_as_archive
from ferryman_server.settings import Settings
from tests.server.media_api_rig import archive, running

CODERS = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


@given(coding=st.sampled_from(sorted(CODERS)), rest=st.binary(max_size=300), cut=st.integers(0, 400))
def test_an_archive_is_known_by_its_first_bytes(coding: str, rest: bytes, cut: int) -> None:
    """However it is coded and however much of it is there: if its beginning can be read, it is known."""
    coded = CODERS[coding](b"PK\3\4" + rest)
    assert begins_as_archive(coding, [coded])
    assert begins_as_archive(coding, [coded[:cut], coded[cut:]])
    assert begins_as_archive(coding, [coded[:cut]]) in (True, cut >= len(coded))


@given(coding=st.sampled_from([*sorted(CODERS), "br"]), content=st.binary(max_size=300))
def test_what_begins_otherwise_is_none(coding: str, content: bytes) -> None:
    """Other files, damaged coding, codings that nobody knows: none of them raises."""
    assert not begins_as_archive(coding, [content])
    if not content.startswith(b"PK\3\4"):
        assert not begins_as_archive(coding, [CODERS.get(coding, gzip.compress)(content)])


def test_no_more_is_decoded_than_is_needed() -> None:
    """A bomb is known by its beginning too, at no cost."""
    coded = gzip.compress(b"PK\3\4" + bytes(1 << 26))
    assert begins_as_archive("gzip", [coded[:LOOKED_AT]])


@pytest.mark.parametrize("store", ["memory", "local"])
async def test_the_client_of_a_coded_archive_is_told_why(store: str, tmp_path: Path) -> None:
    """It stays a file as it came; other coded files say nothing."""
    fields = {
        "Upload-Draft-Interop-Version": "8",
        "Upload-Complete": "?1",
        "Content-Encoding": "gzip",
        "Content-Disposition": 'attachment; filename="film.zip"',
    }
    async with running(Settings(store=store, data=tmp_path / "data", previews=False)) as rig:
        answers = [
            await rig.client.post("/files/", content=gzip.compress(content), headers=fields)
            for content in (archive(3), b"text")
        ]
        ids = [answer.headers["location"].rpartition("/")[2] for answer in answers]
        told = await rig.processing(ids[0])
        assert told["phase"] == "not-frames"
        assert "Content-Encoding: gzip" in told["reason"]
        assert (await rig.get(f"/api/uploads/{ids[1]}"))["processing"] is None
        assert (await rig.get("/api/media"))["media"] == []
