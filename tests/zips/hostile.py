"""The table of shapes: archives that attack, that are broken, and that real programs write; each with a verdict.

After reference/zip-frames.md §2, which measured what readers make of them, and APPNOTE 6.3.10. A shape is made when it
is asked for. Which archives are accepted and which are refused is decided here, with the reason, one line a shape.
"""

from typing import Final

from tests.zips.benign import BENIGN
from tests.zips.hostile_cuts import CUTS
from tests.zips.hostile_ends import ENDS
from tests.zips.hostile_entries import ENTRIES
from tests.zips.hostile_names import NAMES
from tests.zips.hostile_places import PLACES
from tests.zips.hostile_sizes import SIZES
from tests.zips.hostile_streams import STREAMS
from tests.zips.hostile_zip64 import ZIP64
from tests.zips.shape import Shape

__all__ = ["SHAPES", "Shape"]

SHAPES: Final[tuple[Shape, ...]] = (*NAMES, *ENTRIES, *SIZES, *ZIP64, *STREAMS, *PLACES, *ENDS, *CUTS, *BENIGN)
