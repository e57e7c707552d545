"""Remove Gaussian noise of known spectrum by shrinkage in overlapping blocks of the cosine transform.

Hard thresholding of a sliding DCT (G. Yu and G. Sapiro, "DCT image denoising: a simple and effective image denoising
algorithm", Image Processing On Line 1, 2011, doi:10.5201/ipol.2011.ys-dct) gives a first estimate. It serves as the
signal's power in a second pass with Wiener gains `s^2 / (s^2 + n^2)`. Each block counts with the inverse of the noise
left in it.

The transform along the rows is shared by all blocks that begin at the same column, in both directions, and the rest is
done in bands of blocks that fit into the processor's cache. Every product of matrices is small enough for the library
to use one thread, so that tiles run side by side and results do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from odekit.parts.repair.dct import SIDE, SMALL, dct_matrix

Floats = NDArray[np.float32]
Shrink = Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]
"""Takes coefficients (n, S, W) of bands of blocks, those of the first estimate (which may be the same array), and
scratch memory of the same shape; returns the shrunk coefficients, and the variance (n, S, W) of the noise left in each.
It may overwrite all of them."""
STEP = 4
"""Distance of neighbouring blocks."""
MARGIN = 2 * SIDE
"""Pixels around a part that its result depends on."""
THRESHOLD = 2.7
"""Hard threshold, over the noise of a coefficient."""
BAND = 131_072
"""Values that are shrunk at a time, about."""


def shrink(plane: Floats, noise: Floats) -> Floats:
    """One plane (H, W) with noise removed; `noise` (S, S) is the standard deviation of each DCT coefficient."""
    height, width = plane.shape
    padding = [(SIDE, SIDE + -n % SIDE) for n in (height, width)]
    padded = np.pad(plane, padding, mode="symmetric")
    estimate = _pass(padded, padded, partial(hard_threshold, noise))
    estimate = _pass(padded, estimate, partial(wiener, noise))
    return estimate[SIDE : SIDE + height, SIDE : SIDE + width]


def hard_threshold(noise: Floats, columns: int) -> Shrink:
    """Coefficients up to `THRESHOLD` times their noise become 0; for so many blocks side by side."""
    threshold = THRESHOLD * noise
    threshold[0, 0] = -1  # the mean of a block is always kept
    threshold, variance = np.tile(threshold, columns), np.tile(np.square(noise), columns).view(np.int32)

    def keep_large(coefficients: Floats, first: Floats, scratch: Floats) -> tuple[Floats, Floats]:
        np.abs(coefficients, out=scratch)
        np.subtract(threshold, scratch, out=scratch)
        kept, values = scratch.view(np.int32), coefficients.view(np.int32)
        np.right_shift(kept, 31, out=kept)  # all bits set where the sign is: a mask without a branch
        np.bitwise_and(values, kept, out=values)
        np.bitwise_and(kept, variance, out=kept)
        return coefficients, scratch

    return keep_large


def wiener(noise: Floats, columns: int) -> Shrink:
    """Coefficients are multiplied by their Wiener gains for the power of the first estimate."""
    variance = np.tile(np.square(noise), columns)
    above_zero = variance + np.float32(1e-20)

    def multiply(coefficients: Floats, first: Floats, scratch: Floats) -> tuple[Floats, Floats]:
        np.square(first, out=first)
        np.add(first, above_zero, out=scratch)
        np.divide(first, scratch, out=first)
        first[:, 0, ::SIDE] = 1
        np.multiply(coefficients, first, out=coefficients)
        np.square(first, out=first)
        np.multiply(first, variance, out=first)
        return coefficients, first

    return multiply


def _pass(padded: Floats, first: Floats, gains: Callable[[int], Shrink]) -> Floats:
    """Weighted mean of the blocks at all shifts, after their coefficients were shrunk.

    Args:
        padded: (H, W), multiples of `SIDE`.
        first: the first estimate, or `padded` itself where there is none.
        gains: makes the function that shrinks the coefficients of so many blocks side by side.
    """
    height, width = padded.shape
    matrix = dct_matrix()
    inverse = np.ascontiguousarray(matrix.T)
    total = np.float32(1e-6) * padded  # for the margin that no block covers
    cells = np.full((height // STEP, width // STEP), 1e-6, np.float32)
    for left in range(0, SIDE, STEP):
        columns = (width - left) // SIDE
        part = slice(left, left + columns * SIDE)
        along = transform_rows(padded[:, part], inverse)
        guide = along if first is padded else transform_rows(first[:, part], inverse)
        summed = np.zeros_like(along)
        band = max(1, BAND // (SIDE * SIDE * columns))
        shrink_band, memory = gains(columns), np.empty((3, band, SIDE, columns * SIDE), np.float32)
        for top in range(0, SIDE, STEP):
            rows = (height - top) // SIDE
            covered = slice(top, top + rows * SIDE)
            noisy, estimate, out = (plane[covered].reshape(rows, SIDE, -1) for plane in (along, guide, summed))
            weights = np.empty((rows, columns), np.float32)
            for start in range(0, rows, band):
                chosen = slice(start, min(start + band, rows))
                coefficients, signal, scratch = memory[:, : chosen.stop - start]
                transform_columns(matrix, noisy[chosen], coefficients)
                if guide is not along:
                    transform_columns(matrix, estimate[chosen], signal)
                clean, left_over = shrink_band(coefficients, signal, scratch)
                noise = left_over.sum(1).reshape(-1, columns, SIDE).sum(2) / np.float32(SIDE * SIDE)
                weights[chosen] = weight = 1 / noise.clip(1e-12)
                np.multiply(clean, np.repeat(weight, SIDE, 1)[:, None], out=clean)
                transform_columns(inverse, clean, left_over)
                np.add(out[chosen], left_over, out=out[chosen])
            down, right = top // STEP, left // STEP
            blocks = np.repeat(np.repeat(weights, SIDE // STEP, 0), SIDE // STEP, 1)
            cells[down : down + blocks.shape[0], right : right + blocks.shape[1]] += blocks
        total[:, part] += transform_rows(summed, matrix)
    mean: Floats = total / np.repeat(np.repeat(cells, STEP, 0), STEP, 1)
    return mean


def transform_rows(planes: Floats, matrix: Floats) -> Floats:
    """Each run of `SIDE` values of the rows of (H, W) multiplied by a matrix (S, S) from the right."""
    height, width = planes.shape
    lines = np.ascontiguousarray(planes).reshape(height, width // SIDE, SIDE)
    out: Floats = np.matmul(lines, matrix).reshape(height, width)
    return out


def transform_columns(matrix: Floats, bands: Floats, out: Floats) -> None:
    """Each column of (n, S, W) multiplied by a matrix (S, S) from the left, into `out`."""
    step = SMALL // (SIDE * SIDE)
    for start in range(0, bands.shape[2], step):
        columns = slice(start, start + step)
        np.matmul(matrix, bands[:, :, columns], out=out[:, :, columns])
