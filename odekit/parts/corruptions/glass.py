"""Frosted glass: neighbouring pixels change places between two blurs (Hendrycks and Dietterich 2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.parts.corruptions.blur import gaussian
from odekit.parts.corruptions.primitives import Pixels, levels, unit


def shuffle(pixels: Pixels, down: NDArray[np.intp], right: NDArray[np.intp]) -> Pixels:
    """Each pixel of the inner block becomes a copy of the one `down`, `right` away, one after the other from the end.

    The published loop writes a swap, which numpy carries out as a copy (both sides are views); pixels are therefore
    doubled and others lost. A source that lies later in the picture has been replaced already when it is read. The
    chain of copies is followed here for all pixels at once, by doubling: what it yields equals the loop's result.

    Args:
        pixels: uint8 (H, W, C).
        down: shifts (H - 2d, W - 2d) in rows, -d <= shift < d, of the block that starts after d and ends at H - d.
        right: the same in columns.
    """
    rows, columns = down.shape
    height, width = pixels.shape[:2]
    first_row, first_column = (height - rows) // 2 + 1, (width - columns) // 2 + 1
    own = np.arange(height * width).reshape(height, width)
    block = (slice(first_row, first_row + rows), slice(first_column, first_column + columns))
    # Nodes below `count` are pixels as they were; node count + p is pixel p as the loop leaves it.
    count = height * width
    inside = np.zeros((height, width), dtype=bool)
    inside[block] = True
    target = own[block]
    source = target + down * width + right
    later = inside.ravel()[source] & (source > target)
    follow = np.arange(2 * count)
    follow[count + target] = np.where(later, count + source, source)
    while True:
        further = follow[follow]
        if np.array_equal(further, follow):
            break
        follow = further
    result = pixels.reshape(count, -1).copy()
    result[target] = result[follow[count + target]]
    return result.reshape(pixels.shape)


def glass_blur(pixels: Pixels, rng: np.random.Generator, *, sigma: float, shift: int, rounds: int) -> Pixels:
    """Blur, copy pixels from up to `shift` pixels away `rounds` times, blur again.

    Args:
        pixels: the picture; one smaller than 2 shift + 1 is only blurred.
        rng: draws the shifts from -shift .. shift - 1.
        sigma: deviation of both blurs in pixels.
        shift: greatest distance in pixels along either axis.
        rounds: how often all pixels are gone through.
    """
    blurred = levels(gaussian(unit(pixels), sigma), summed=True)
    block = (pixels.shape[0] - 2 * shift, pixels.shape[1] - 2 * shift)
    if shift > 0 and min(block) > 0:
        for _ in range(rounds):
            down, right = rng.integers(-shift, shift, size=(2, *block))
            blurred = shuffle(blurred, down, right)
    return levels(gaussian(unit(blurred), sigma), summed=True)
