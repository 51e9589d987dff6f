"""Checksums as S3 is told them: known answers, joined as their bytes are, and kept with the books."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.model import Phase, Upload
from ferryman_server.storage.base import StoreError
from ferryman_server.storage.ledger import Entry
from ferryman_server.storage.s3_books import UPLOAD, Books, Multipart, Part, Tail, books_of, changes, read_books
from ferryman_server.storage.s3_sums import ALGORITHMS, CRC32C, CRC64NVME, Sums, summed
from ferryman_server.storage.testing_rig import ONE

_sums = st.builds(Sums, st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 32) - 1))
_uploads = st.none() | st.builds(
    Multipart, id=st.text("abcXYZ09-_. ", min_size=1), algorithm=st.sampled_from([None, *ALGORITHMS.values()])
)


def test_s3_is_told_the_check_values() -> None:
    """What S3 writes is base64 of the value, big-endian, under the name of its algorithm."""
    sums = summed([b"1234", b"56789"])
    assert (CRC64NVME.field, CRC64NVME.text(sums)) == ("x-amz-checksum-crc64nvme", "rosUhgp5mIg=")
    assert (CRC32C.field, CRC32C.text(sums)) == ("x-amz-checksum-crc32c", "4waSgw==")
    assert (CRC64NVME.element, CRC32C.element) == ("ChecksumCRC64NVME", "ChecksumCRC32C")
    assert (CRC64NVME.value("rosUhgp5mIg="), CRC32C.value("4waSgw==")) == (sums.crc64, sums.crc32c)


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_sums_of_stretches_are_those_of_their_bytes(pieces: list[bytes]) -> None:
    """However bytes are cut, their checksums together are those of the whole."""
    together = Sums()
    for piece in pieces:
        together = together.then(summed([piece]), len(piece))
    assert together == summed([b"".join(pieces)])


@given(_uploads, st.lists(_sums, max_size=4), st.lists(_sums, max_size=3))
def test_books_are_read_as_they_were_written(upload: Multipart | None, parts: list[Sums], tails: list[Sums]) -> None:
    """Notes hold all there is to know of an unfinished upload: its multipart upload's algorithm, and all checksums."""
    books = Books(
        upload=upload,
        next=len(parts) + 1,
        parts=tuple(
            Part(start=7 * at, stop=7 * at + 7, sums=sums, number=at + 1, etag=f"e {at}")
            for at, sums in enumerate(parts)
        ),
        tails=tuple(
            Tail(start=7 * at, stop=7 * at + 7, sums=sums, key=f"a key/{at}")
            for at, sums in enumerate(tails, len(parts))
        ),
    )
    notes = {name: value for name, value in changes(Books(), books).items() if value is not None}
    assert read_books(notes) == books


@pytest.mark.parametrize(
    "notes",
    [
        {UPLOAD: "CRC7 abc"},
        {UPLOAD: "abc"},
        {"s3.part.00001": "0 5 1 etag"},
        {"s3.tail.key": "0 5 1:x"},
        {"s3.tail.key": "0 5 1:2", "s3.part.00001": "0 6 1:2 etag"},
    ],
)
def test_damaged_books_are_told(notes: dict[str, str]) -> None:
    """Nobody guesses what an upload consists of: the store says whose notes make no sense."""
    entry = Entry(upload=Upload(id=ONE, phase=Phase.RECEIVING), target="key")
    with pytest.raises(StoreError, match=f"the notes of upload {ONE} are damaged"):
        books_of(replace(entry, notes=notes))
