"""Absolute brightness on ordinary screens: order is kept, black and white stay, a white wall is bright."""

from itertools import pairwise

from ferryman_server.making.pq_range import pq_to_sdr


def test_the_table() -> None:
    """Three times the same 256 values, which only rise; 203 cd/m², code 148, are a light grey, 1000 cd/m² are white."""
    table = pq_to_sdr()
    assert len(table) == 768
    assert table[:256] == table[256:512] == table[512:]
    assert all(one <= other for one, other in pairwise(table[:256]))
    assert (table[0], table[255]) == (0, 255)
    assert 180 <= table[148] <= 200
    assert table[192] >= 250
