"""From 8-bit levels to numbers and back, as the published corruptions do it."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""uint8 (H, W, 3), sRGB-encoded RGB."""
Unit: TypeAlias = NDArray[np.float64]
"""float64 (H, W, 3) or (H, W), the same values over 255."""


def unit(pixels: Pixels) -> Unit:
    """Levels 0..255 as numbers in [0, 1]."""
    return pixels / 255.0


def levels(values: Unit, *, summed: bool = False) -> Pixels:
    """Numbers as levels: clipped to [0, 1], times 255, cut off below the point.

    Cut off, not rounded: ImageNet-C was made so (`np.uint8(method(picture))`), and the reference statistics too. It
    costs half a level of brightness on average, which shows in mild corruptions. `summed` says that the values are
    weighted sums, whose rounding errors must not push a whole level below itself: a flat picture then stays flat.
    """
    if summed:
        values = values + 1e-9
    return (np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)
