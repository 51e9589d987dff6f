"""Records to rows and back."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ferryman_protocol.digest_fields import Digests
from ferryman_protocol.model import Concat, Phase, Upload
from ferryman_server.state.base import Record
from ferryman_server.state.rows import COLUMNS, from_row, signed, to_row, unsigned

texts = st.none() | st.text()
times = st.floats(allow_nan=False, allow_infinity=False)
uploads = st.builds(
    Upload,
    id=st.text(min_size=1),
    phase=st.sampled_from(Phase),
    offset=st.integers(0, (1 << 63) - 1),
    length=st.none() | st.integers(0, (1 << 63) - 1),
    dialect=st.sampled_from(["tus", "rufh"]),
    metadata=texts,
    concat=st.none() | st.sampled_from(Concat),
    concat_echo=texts,
    parts=st.lists(st.text(min_size=1)).map(tuple),
    content_type=texts,
    content_encoding=texts,
    filename=texts,
    expires_at=st.none() | times,
    reason=texts,
)
digests = st.builds(Digests, values=st.lists(st.tuples(st.text(), st.binary())).map(tuple))
records = st.builds(
    Record,
    upload=uploads,
    crc64=st.integers(0, (1 << 64) - 1),
    fence=st.integers(0, (1 << 63) - 1),
    adoptable=st.booleans(),
    created_at=times,
    updated_at=times,
    completed_at=st.none() | times,
    owner=texts,
    target=texts,
    repr_digests=st.none() | digests,
    want_repr_digests=st.lists(st.text()).map(tuple),
)


@given(record=records)
def test_every_record_survives_its_row(record: Record) -> None:
    """A row and the parts make the record again, field for field."""
    row = to_row(record)
    assert len(row) == len(COLUMNS) == len(set(COLUMNS))
    assert from_row(row, record.upload.parts) == record


@given(crc64=st.integers(0, (1 << 64) - 1))
def test_crc_fits_a_signed_column(crc64: int) -> None:
    """All 64 bits survive in a signed integer of 64 bits."""
    assert -(1 << 63) <= signed(crc64) < 1 << 63
    assert unsigned(signed(crc64)) == crc64


def test_digests_are_readable_json() -> None:
    """An operator who looks into the table finds names and base64."""
    upload = Upload(id="a", phase=Phase.EMPTY)
    record = Record(upload=upload, repr_digests=Digests(values=(("md5", b"\0\xff"),)), want_repr_digests=("sha-256",))
    row = dict(zip(COLUMNS, to_row(record), strict=True))
    assert row["repr_digests"] == '[["md5", "AP8="]]'
    assert json.loads(str(row["want_repr_digests"])) == ["sha-256"]
    bare = dict(zip(COLUMNS, to_row(Record(upload=upload)), strict=True))
    assert bare["want_repr_digests"] is None
