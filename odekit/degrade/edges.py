"""Edges of an 8-bit grey picture, by the classic operators and in the integer conventions that spatter is tuned to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]


def canny(grey: Grey, low: float, high: float) -> NDArray[np.bool_]:
    """Edges after Canny (1986): Sobel gradients, thinned across the edge, followed from `high` down to `low`.

    The strength is |gx| + |gy| of 3x3 Sobel sums of levels (not divided by 8); directions are told in steps of 45
    degrees; a weak edge (above `low`) counts where it touches a strong one (above `high`), diagonals included.

    Args:
        grey: uint8 (H, W).
        low: least strength of an edge that touches a strong one, 0 to 2040.
        high: strength above which an edge is strong.
    """
    from scipy import ndimage

    values = grey.astype(np.float64)
    gx, gy = (ndimage.sobel(values, axis=axis, mode="nearest") for axis in (1, 0))
    strength = np.abs(gx) + np.abs(gy)
    around = np.pad(strength, 1)
    height, width = grey.shape

    def at(dy: int, dx: int) -> NDArray[np.float64]:
        return around[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    slope = np.tan(np.pi / 8)
    flat, steep = np.abs(gy) < slope * np.abs(gx), slope * np.abs(gy) > np.abs(gx)
    rising = gx * gy < 0
    before = np.select([flat, steep, rising], [at(0, -1), at(-1, 0), at(-1, 1)], at(-1, -1))
    after = np.select([flat, steep, rising], [at(0, 1), at(1, 0), at(1, -1)], at(1, 1))
    # of two equal neighbours one is kept; which one is a convention
    diagonal = ~flat & ~steep
    ridge = (strength > low) & (strength > before) & np.where(diagonal, strength > after, strength >= after)
    labels, _ = ndimage.label(ridge, structure=np.ones((3, 3)))
    strong = np.unique(labels[ridge & (strength > high)])
    return np.isin(labels, strong[strong > 0])


def equalise(grey: Grey) -> Grey:
    """Levels spread so that each is as frequent as the next: 255 (cdf - cdf_min) / (1 - cdf_min)."""
    counts = np.bincount(grey.ravel(), minlength=256)
    total = np.cumsum(counts)
    least = counts[np.flatnonzero(counts)[0]]
    if least == grey.size:
        return grey
    table = np.rint(np.maximum(total - least, 0) * (255.0 / (grey.size - least)))
    return np.asarray(table.astype(np.uint8)[grey])
