"""A cloudy random map by the diamond-square algorithm (Fournier, Fussell and Carpenter 1982), on a torus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def plasma(rng: np.random.Generator, side: int, decay: float) -> NDArray[np.float64]:
    """A map (side, side) that wraps around, scaled so that its least value is 0 and its greatest 1.

    Midpoints are the mean of their four corners plus U(-a, a); a starts at 100^2 and shrinks by `decay` with every
    halving of the step, as in the published fog.

    Args:
        rng: draws the midpoints.
        side: a power of two.
        decay: 1 is rough, 3 is smooth.
    """
    field = np.zeros((side, side))
    step, reach = side, 100.0

    def jitter(total: NDArray[np.float64]) -> NDArray[np.float64]:
        return total / 4 + reach * rng.uniform(-reach, reach, total.shape)

    while step >= 2:
        half = step // 2
        corner = field[::step, ::step]
        sums = corner + np.roll(corner, -1, axis=0)
        field[half::step, half::step] = jitter(sums + np.roll(sums, -1, axis=1))
        middle = field[half::step, half::step]
        sums = middle + np.roll(middle, 1, axis=0) + corner + np.roll(corner, -1, axis=1)
        field[::step, half::step] = jitter(sums)
        sums = middle + np.roll(middle, 1, axis=1) + corner + np.roll(corner, -1, axis=0)
        field[half::step, ::step] = jitter(sums)
        step, reach = half, reach / decay
    field -= field.min()
    return field / (field.max() or 1.0)


def cloud(rng: np.random.Generator, height: int, width: int, decay: float) -> NDArray[np.float64]:
    """The top left (height, width) of a plasma whose side is the next power of two."""
    side = 1 << (max(height, width) - 1).bit_length()
    return plasma(rng, side, decay)[:height, :width]
