"""Means over windows, and Gaussian blur, of small planes.

The same as `uniform_filter` and `gaussian_filter` of scipy.ndimage up to rounding, without its import, which takes as
long as five faces.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Border = Literal["symmetric", "edge"]
"""How a plane goes on beyond its border, as in `numpy.pad`: mirrored, or with its outermost values."""
REACH = 4.0
"""Taps of a Gaussian on each side, in standard deviations."""


def gaussian(plane: Array, sigma: float) -> Array:
    """A plane (H, W) after a Gaussian blur with a standard deviation of `sigma` pixels; its border is mirrored."""
    reach = int(REACH * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    taps /= taps[0] + 2 * taps[1:].sum()
    return _filtered(_filtered(np.asarray(plane, np.float64), taps).T, taps).T


def window_mean(plane: Array, width: int, border: Border = "symmetric") -> Array:
    """The mean of a plane (H, W) over `width` x `width` pixels, an odd number; see `Border`."""
    rows, columns = (_places(length, width, border) for length in plane.shape)
    sums = plane[rows].cumsum(0)
    sums = (sums[width:] - sums[:-width])[:, columns].cumsum(1)
    out: Array = (sums[:, width:] - sums[:, :-width]) / width**2
    return out


@lru_cache(maxsize=64)
def _places(length: int, width: int, border: Border) -> NDArray[np.intp]:
    """(length + width,): where the values of a line come from that goes on beyond its ends; one more before it."""
    return np.pad(np.arange(length), (width // 2 + 1, width // 2), mode=border)


def _filtered(plane: Array, taps: Array) -> Array:
    """A plane (H, W) after a symmetric filter along its columns; `taps` begins with the one in the middle."""
    reach, height = len(taps) - 1, len(plane)
    padded = np.pad(plane, ((reach, reach), (0, 0)), mode="symmetric")
    out: Array = padded[reach : reach + height] * taps[0]
    pair = np.empty_like(out)
    for k in range(1, reach + 1):
        np.add(padded[reach - k : reach - k + height], padded[reach + k : reach + k + height], out=pair)
        pair *= taps[k]
        out += pair
    return out
