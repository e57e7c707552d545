"""Smooth the points of a face over time: much where it is still, little where it moves.

Local linear fits over windows of growing width; the widest is taken whose fit agrees with those of all narrower ones
within their standard errors (intersection of confidence intervals: A. Goldenshluger and A. Nemirovski, "On spatially
adaptive estimation of nonparametric regression", 1997). All coordinates of a face use the same window.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
HALF_WIDTHS = (1, 2, 4, 8, 16, 32)
"""Frames on each side of the fits."""
AGREEMENT = 1.2
"""Two fits agree if their root mean square difference over the coordinates is within this many sums of their standard
errors. The mean over 14 coordinates of noise alone exceeds it in fewer than one of a hundred frames."""
LEAST_NOISE = 0.02
"""Smallest standard deviation of a detected coordinate, in pixels."""


def smoothed(values: Floats) -> Floats:
    """Coordinates (frames, coordinates), smoothed over the frames."""
    count = len(values)
    if count < 3:
        return values.copy()
    noise = jitter(values)
    out, narrower = values.copy(), [(values, np.ones(count))]
    going = np.ones(count, bool)
    for half in HALF_WIDTHS:
        if half >= count:
            break
        fit, error = local_lines(values, half)
        for other, other_error in narrower:
            distance = np.sqrt(np.mean((fit - other) ** 2, 1))
            going &= distance <= AGREEMENT * noise * (error + other_error)
        out[going] = fit[going]
        narrower.append((fit, error))
    return out


def jitter(values: Floats) -> float:
    """Standard deviation of the detector's error, from second differences, which uniform motion does not change."""
    second = values[2:] - 2 * values[1:-1] + values[:-2]
    return max(LEAST_NOISE, float(np.median(np.abs(second)) / 0.6745 / np.sqrt(6)))


def local_lines(values: Floats, half: int) -> tuple[Floats, Floats]:
    """Least-squares lines over the frames within `half`, at each frame: values, and standard errors for unit noise."""
    count = len(values)
    fits, errors = np.empty_like(values), np.empty(count)
    for i in range(count):
        low, high = max(0, i - half), min(count, i + half + 1)
        x = np.arange(low, high) - (low + high - 1) / 2
        at = i - (low + high - 1) / 2
        weights = 1 / len(x) + at * x / max(1e-9, float(x @ x))
        fits[i] = weights @ values[low:high]
        errors[i] = np.sqrt(float(weights @ weights))
    return fits, errors
