"""Pictures whose values stand for absolute brightness (PQ, as in HDR10) on screens that know nothing of it.

Taken as they are, they look grey. Pictures of the other way, HLG, are made to be shown as they are, and are.

Sources: SMPTE ST 2084 §5 (EOTF); ITU-R BT.2408 (white lies at 203 cd/m²); IEC 61966-2-1 (sRGB); Reinhard et al. 2002,
equation 4, for what is brighter than white.
"""

import math
from functools import cache
from typing import Final

_M1: Final = 2610 / 16384
_M2: Final = 2523 / 4096 * 128
_C1: Final = 3424 / 4096
_C2: Final = 2413 / 4096 * 32
_C3: Final = 2392 / 4096 * 32
_WHITE: Final = 203.0  # cd/m²
_BRIGHTEST: Final = 1000 / _WHITE  # of that white; what is brighter still has no more shades


@cache
def pq_to_sdr() -> list[int]:
    """A table for :meth:`PIL.Image.Image.point`: 256 values for each of red, green and blue."""
    return [round(255 * _srgb(_compressed(_linear(value / 255)))) for value in range(256)] * 3


def _linear(value: float) -> float:
    """Brightness in units of white."""
    root = math.pow(value, 1 / _M2)
    light = math.pow(max(root - _C1, 0.0) / (_C2 - _C3 * root), 1 / _M1)
    return 10000 * light / _WHITE


def _compressed(light: float) -> float:
    return min(1.0, light * (1 + light / _BRIGHTEST**2) / (1 + light))


def _srgb(light: float) -> float:
    if light <= 0.0031308:
        return 12.92 * light
    return 1.055 * math.pow(light, 1 / 2.4) - 0.055
