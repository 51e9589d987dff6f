"""Deflated entries as gzip, without unpacking them."""

import gzip
import zlib
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.media.entries import DEFLATED
from ferryman_server.media.gzip_form import gzip_size, gzipped
from tests.server.media.stored_entries import ID, stored
from tests.zips.build import Member


@given(plain=st.binary(max_size=2000), piece=st.integers(1, 600))
def test_gzip_of_the_entry(plain: bytes, piece: int) -> None:
    """Any gzip reader gets the content back, with its CRC-32 and size; it has as many bytes as were announced."""
    store, (entry,) = stored([Member(b"a", plain, DEFLATED)], piece=piece)
    coded = b"".join(gzipped(store, ID, entry))
    assert gzip.decompress(coded) == plain
    assert len(coded) == gzip_size(entry)
    assert store.reads == [(entry.data, entry.data + entry.packed)]


def test_nothing_but_the_content_is_told() -> None:
    """No name, no time, no comment: the header has ten bytes, and the packed bytes follow as they are."""
    member = Member(b"secret-name", b"content" * 9, DEFLATED)
    store, (entry,) = stored([member])
    coded = b"".join(gzipped(store, ID, entry))
    assert coded[10:-8] == member.data()
    with gzip.GzipFile(fileobj=BytesIO(coded)) as reader:
        assert reader.read() == member.content
        assert reader.mtime == 0
    assert coded[-8:-4] == zlib.crc32(member.content).to_bytes(4, "little")
