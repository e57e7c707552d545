"""Frosted glass: neighbouring pixels are shuffled between two blurs (Hendrycks and Dietterich 2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.parts.corruptions.blur import smooth_gaussian
from odekit.parts.corruptions.primitives import Pixels, to_levels, to_unit


def shuffle(pixels: Pixels, down: NDArray[np.intp], right: NDArray[np.intp]) -> Pixels:
    """Replace each pixel of the inner block by the one at the offset `down`, `right`, in order from the last pixel.

    The published loop swaps pixels, but numpy executes the swap as a copy (both sides are views), so some pixels are
    duplicated and others lost. A source that lies later in the picture has already been replaced when it is read. This
    function follows the chains of copies for all pixels at once, by pointer doubling; the result equals the loop's.

    Args:
        pixels: uint8 (H, W, C).
        down: shifts (H - 2d, W - 2d) in rows, -d <= shift < d, of the block that starts after d and ends at H - d.
        right: the same in columns.
    """
    rows, columns = down.shape
    height, width = pixels.shape[:2]
    first_row, first_column = (height - rows) // 2 + 1, (width - columns) // 2 + 1
    indices = np.arange(height * width).reshape(height, width)
    block = (slice(first_row, first_row + rows), slice(first_column, first_column + columns))
    # Nodes below `count` are the original pixels; node count + p is pixel p after the loop.
    count = height * width
    inside = np.zeros((height, width), dtype=bool)
    inside[block] = True
    target = indices[block]
    source = target + down * width + right
    replaced = inside.ravel()[source] & (source > target)
    parent = np.arange(2 * count)
    parent[count + target] = np.where(replaced, count + source, source)
    while True:
        grandparent = parent[parent]
        if np.array_equal(grandparent, parent):
            break
        parent = grandparent
    result = pixels.reshape(count, -1).copy()
    result[target] = result[parent[count + target]]
    return result.reshape(pixels.shape)


def glass_blur(pixels: Pixels, rng: np.random.Generator, *, sigma: float, shift: int, rounds: int) -> Pixels:
    """Blur, shuffle pixels by up to `shift` pixels `rounds` times, blur again.

    Args:
        pixels: the picture; if it is smaller than 2 shift + 1, it is only blurred.
        rng: draws the shifts from -shift .. shift - 1.
        sigma: standard deviation of both blurs in pixels.
        shift: largest distance in pixels along either axis.
        rounds: number of passes over all pixels.
    """
    blurred = to_levels(smooth_gaussian(to_unit(pixels), sigma), summed=True)
    block = (pixels.shape[0] - 2 * shift, pixels.shape[1] - 2 * shift)
    if shift > 0 and min(block) > 0:
        for _ in range(rounds):
            down, right = rng.integers(-shift, shift, size=(2, *block))
            blurred = shuffle(blurred, down, right)
    return to_levels(smooth_gaussian(to_unit(blurred), sigma), summed=True)
