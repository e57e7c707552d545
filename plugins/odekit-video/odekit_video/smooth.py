"""Smooth the points of a face over time: much where it is still, little where it moves.

Local linear fits over windows of growing width; the widest is taken whose fit agrees with those of all narrower ones
within their standard errors (intersection of confidence intervals: A. Goldenshluger and A. Nemirovski, "On spatially
adaptive estimation of nonparametric regression", 1997). All coordinates of a face use the same window. Where the mean
over a window agrees with the line, and with the means over narrower windows, the face is still, and the mean is taken:
its error is smaller, to the fourth part at the ends, and what jumps by a fraction of a pixel flickers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
HALF_WIDTHS = (1, 2, 4, 8, 16, 32)
"""Frames on each side of the lines."""
STILL_HALF_WIDTHS = (*HALF_WIDTHS, 64, 128)
"""Frames on each side of the means."""
AGREEMENT = 1.5
"""Two fits agree if their root mean square difference over the coordinates is within this many sums of their standard
errors. Points that a detector places as one similarity transform err in four ways at most, so that 1.2 refuses every
other wide window of a still face."""
STILL_AGREEMENT = 2.1
"""The same for means: a face whose points change their window jumps, and one that drifts by a fraction of a pixel while
its points stay shows nothing."""
FEW = 2
"""Frames on each side of means that follow what changes."""
OUTLIER, OUTLIER_WINDOW = 2.5, 7
"""A frame whose coordinates differ from the median over so many frames by this many times the noise is one mistake of
the detector."""
LEAST_NOISE = 0.02
"""Smallest standard deviation of a detected coordinate, in pixels."""


def smoothed(values: Floats, least: int = 0, tolerance: float = np.inf) -> Floats:
    """Coordinates (frames, coordinates), smoothed over the frames.

    Args:
        values: the coordinates.
        least: frames on each side over which at least they are averaged, whether or not the means agree.
        tolerance: by how much, root mean square, means over so many frames may differ from those over a few; where they
            differ by twice as much, these are taken.
    """
    count = len(values)
    if count < 3:
        return values.copy()
    noise = jitter(values)
    values = without_outliers(values, noise)
    lines = [half for half in HALF_WIDTHS if half < count]
    out, errors = local_means(values, least)
    if least:
        few, _ = local_means(values, FEW)
        far = np.sqrt(np.mean((few - out) ** 2, 1)) / tolerance - 1
        out += local_means(np.clip(far, 0, 1)[:, None], FEW)[0] * (few - out)
    means = [half for half in STILL_HALF_WIDTHS if half > least]
    fits = ((local_lines, [] if least else lines, AGREEMENT), (local_means, means, STILL_AGREEMENT))
    for fit, halves, agreement in fits:
        narrower = [(out.copy(), errors.copy())]
        going = np.ones(count, bool)
        for half in halves:
            fitted, error = fit(values, half)
            for other, other_error in narrower:
                distance = np.sqrt(np.mean((fitted - other) ** 2, 1))
                going &= distance <= agreement * noise * (error + other_error)
            out[going], errors[going] = fitted[going], error[going]
            narrower.append((fitted, error))
    return out


def without_outliers(values: Floats, noise: float) -> Floats:
    """Coordinates without those of frames in which a detector saw the face elsewhere than before and after."""
    reach = OUTLIER_WINDOW // 2
    padded = np.concatenate([values[:1].repeat(reach, 0), values, values[-1:].repeat(reach, 0)])
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, OUTLIER_WINDOW, 0), -1)
    far = np.sqrt(np.mean((values - median) ** 2, 1)) > OUTLIER * noise
    far[:reach] = far[len(far) - reach :] = False  # the median of a moving face lags at the ends
    return np.where(far[:, None], median, values)


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


def local_means(values: Floats, half: int) -> tuple[Floats, Floats]:
    """Means over the frames within `half`, at each frame, and their standard errors for unit noise."""
    frames = np.arange(len(values))
    low, high = np.maximum(0, frames - half), np.minimum(len(values), frames + half + 1)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, 0)])
    number = (high - low).astype(np.float64)
    return (sums[high] - sums[low]) / number[:, None], 1 / np.sqrt(number)
