"""Impulse noise: values that were replaced, by black and white (salt and pepper) or at random. Measured and removed.

A replaced value is an outlier of its neighbourhood, while Gaussian noise, clipped or not, has none. It is replaced by
the median of the neighbours that are not replaced themselves, in a window that grows until there are enough of them
(adaptive switching median: H. Hwang and R. Haddad, "Adaptive median filters: new algorithms and results", IEEE
Transactions on Image Processing 4, 1995, doi:10.1109/83.370679). All other values stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.parts.repair.noise_level import BLOCK, MIN_BLOCKS, sample_patches, split
from odekit.parts.repair.tiles import apply_in_tiles

Floats = NDArray[np.float32]
MIN_DEVIATION, DEVIATIONS = 0.1, 5.0
"""An outlier deviates from the median by at least the first value, and by this many robust standard deviations."""
DARKEST, BRIGHTEST = 0.02, 0.98
"""Places with a median beyond these show only half of the impulses, or hide noise."""
EXTREMES = 1.5 / 255
"""Salt and pepper lie this close to 1 and 0."""
EXTREME_SHARE = 0.8
"""Share of the outliers that lie there, from which the impulses are salt and pepper."""
FLAT_SHARE = 0.25
"""Share of the blocks that is measured: those with the lowest spread."""
WINDOWS, ENOUGH = (3, 5, 7, 11), 3
"""Windows of the median, and the smallest number of good values in one."""
TILE = 512


@dataclass(frozen=True)
class Impulses:
    """Measured impulse noise."""

    share: float
    """Share of the values that are replaced visibly."""
    salt_pepper: bool = True
    """They are black and white."""


def measure_impulses(pixels: Pixels) -> Impulses:
    """Measure the impulse noise of a photograph (3, H, W) in [0, 1]; a share of 0 where it is unknown."""
    blocks = split(sample_patches(pixels), BLOCK).reshape(-1, BLOCK, BLOCK)
    if len(blocks) < 3 * MIN_BLOCKS:
        return Impulses(0.0)
    low, median, high = np.quantile(blocks.reshape(len(blocks), -1), [0.25, 0.5, 0.75], axis=1).astype(np.float32)
    spread = np.maximum(high - median, median - low) / np.float32(0.6745)
    usable = np.flatnonzero((median > DARKEST) & (median < BRIGHTEST))
    if len(usable) < MIN_BLOCKS:
        return Impulses(0.0)
    flat = usable[np.argsort(spread[usable])[: max(MIN_BLOCKS, int(FLAT_SHARE * len(usable)))]]
    values, limit = blocks[flat], np.maximum(MIN_DEVIATION, DEVIATIONS * spread[flat])[:, None, None]
    inner = values[:, 1:-1, 1:-1]
    around = np.stack([values[:, :-2, 1:-1], values[:, 2:, 1:-1], values[:, 1:-1, :-2], values[:, 1:-1, 2:]])
    outlier = np.abs(inner - median[flat][:, None, None]) > limit
    outlier &= np.abs(inner - np.median(around, axis=0)) > limit  # a line or an edge is no impulse
    count = int(outlier.sum())
    extreme = int(((inner[outlier] <= EXTREMES) | (inner[outlier] >= 1 - EXTREMES)).sum())
    return Impulses(count / outlier.size, extreme >= EXTREME_SHARE * count)


def remove_impulses(image: Image, impulses: Impulses) -> Pixels:
    """The pixels with impulses replaced. A grey photograph stays exactly grey."""
    planes = image.pixels[:1] if image.meta.grey else image.pixels
    margin = WINDOWS[-1]

    def clean(tile: Floats) -> Floats:
        return np.stack([replace_outliers(plane, find_impulses(plane, impulses)) for plane in tile])

    out = apply_in_tiles(clean, planes, TILE, margin)
    return np.repeat(out, 3, axis=0) if image.meta.grey else out


def find_impulses(plane: Floats, impulses: Impulses) -> NDArray[np.bool_]:
    """Where the values of a plane (H, W) are replaced."""
    from scipy.ndimage import median_filter, uniform_filter

    median = median_filter(plane, 5, mode="reflect")
    deviation = np.abs(plane - median)
    if impulses.salt_pepper:
        found = np.zeros(plane.shape, bool)
        expected = 25 * impulses.share / 2
        most = expected + 3 * np.sqrt(expected) + 2  # more of one kind at one place is a highlight or a shadow
        for extreme in (plane <= EXTREMES, plane >= 1 - EXTREMES):
            candidates = extreme & (deviation > MIN_DEVIATION / 2)
            found |= candidates & (25 * uniform_filter(candidates.astype(np.float32), 5, mode="reflect") <= most)
        return found
    spread = median_filter(deviation, 5, mode="reflect") / np.float32(0.6745)
    outliers: NDArray[np.bool_] = deviation > np.maximum(MIN_DEVIATION, 3.5 * spread)
    return outliers


def replace_outliers(plane: Floats, found: NDArray[np.bool_]) -> Floats:
    """A plane (H, W) with the values at `found` replaced by the median of the good ones around them."""
    out = plane.copy()
    rows, columns = np.nonzero(found)
    reach = WINDOWS[-1] // 2
    values = np.pad(
        np.where(found, np.float32(np.inf), plane), reach, mode="reflect" if min(plane.shape) > reach else "edge"
    )
    for window in WINDOWS:
        half = window // 2
        shifts = range(reach - half, reach + half + 1)
        near = np.sort(np.stack([values[rows + dy, columns + dx] for dy in shifts for dx in shifts], axis=1), axis=1)
        count = np.isfinite(near).sum(1)
        enough = count >= (ENOUGH if window < WINDOWS[-1] else 1)
        index = np.arange(len(rows))[enough]
        middle = (near[index, (count[enough] - 1) // 2] + near[index, count[enough] // 2]) / 2
        out[rows[enough], columns[enough]] = middle
        rows, columns = rows[~enough], columns[~enough]
        if not len(rows):
            break
    return out
