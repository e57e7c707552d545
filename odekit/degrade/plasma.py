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
    field = np.zeros((1, 1))
    reach = 100.0
    while len(field) < side:
        field = _refine(rng, field, reach * reach)
        reach /= decay
    field -= field.min()
    return field / (field.max() or 1.0)


def _refine(rng: np.random.Generator, coarse: NDArray[np.float64], jitter: float) -> NDArray[np.float64]:
    """A map (n, n) on twice as fine a grid (2n, 2n): centres of squares first, then the middles of their sides.

    Every new point is the mean of its four neighbours, across the torus, plus U(-jitter, jitter).
    """
    side = len(coarse)
    drawn = rng.uniform(-jitter, jitter, size=(3, side, side))
    below, right = np.roll(coarse, -1, axis=0), np.roll(coarse, -1, axis=1)
    centre = (coarse + below + right + np.roll(below, -1, axis=1)) / 4 + drawn[0]
    fine = np.empty((2 * side, 2 * side))
    fine[::2, ::2], fine[1::2, 1::2] = coarse, centre
    fine[::2, 1::2] = (coarse + right + centre + np.roll(centre, 1, axis=0)) / 4 + drawn[1]
    fine[1::2, ::2] = (coarse + below + centre + np.roll(centre, 1, axis=1)) / 4 + drawn[2]
    return fine


def cloud(rng: np.random.Generator, height: int, width: int, decay: float) -> NDArray[np.float64]:
    """The top left (height, width) of a plasma whose side is the next power of two."""
    side = 1 << (max(height, width) - 1).bit_length()
    return plasma(rng, side, decay)[:height, :width]
