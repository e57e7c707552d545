"""Remove Gaussian noise of known spectrum by shrinkage in overlapping blocks of the cosine transform.

Hard thresholding of a sliding DCT (G. Yu and G. Sapiro, "DCT image denoising: a simple and effective image denoising
algorithm", Image Processing On Line 1, 2011, doi:10.5201/ipol.2011.ys-dct) gives a first estimate. It serves as the
signal's power in a second pass with Wiener gains `s^2 / (s^2 + n^2)`. Each block counts with the inverse of the noise
left in it. R, G and B are transformed to luma and two chroma axes, where photographs are sparser.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SIDE = 16
"""Side of the blocks."""
STEP = 4
"""Distance of neighbouring blocks."""
MARGIN = 2 * SIDE
"""Pixels around a part that its result depends on."""
THRESHOLD = 2.7
"""Hard threshold, over the noise of a coefficient."""


@cache
def dct_matrix(side: int = SIDE) -> Floats:
    """The orthonormal DCT-II as a matrix (side, side), one basis function per row."""
    k, x = np.mgrid[:side, :side]
    matrix = np.cos(np.pi * k * (2 * x + 1) / (2 * side)) * np.sqrt(2 / side)
    matrix[0] /= np.sqrt(2)
    out: Floats = matrix.astype(np.float32)
    return out


def transform(blocks: Floats, matrix: Floats) -> Floats:
    """`matrix @ block @ matrix.T` for every block of (N, S, S)."""
    count, side = blocks.shape[0], blocks.shape[1]
    rows = (blocks.reshape(-1, side) @ matrix.T).reshape(count, side, side).transpose(0, 2, 1)
    both = np.ascontiguousarray(rows).reshape(-1, side) @ matrix.T
    return both.reshape(count, side, side).transpose(0, 2, 1)


def shrink(plane: Floats, noise: Floats) -> Floats:
    """One plane (H, W) with noise removed; `noise` (S, S) is the standard deviation of each DCT coefficient."""
    height, width = plane.shape
    padding = [(SIDE, SIDE + -n % SIDE) for n in (height, width)]
    padded = np.pad(plane, padding, mode="symmetric")
    threshold, variance = THRESHOLD * noise, np.square(noise)

    def keep_large(coefficients: Floats, first: Floats) -> Floats:
        return (np.abs(coefficients) > threshold).astype(np.float32)

    def wiener(coefficients: Floats, first: Floats) -> Floats:
        power = np.square(first)
        return np.asarray(power / (power + variance + np.float32(1e-20)), np.float32)

    estimate = _pass(padded, padded, keep_large, variance)
    estimate = _pass(padded, estimate, wiener, variance)
    return estimate[SIDE : SIDE + height, SIDE : SIDE + width]


def _pass(padded: Floats, first: Floats, gains: Callable[[Floats, Floats], Floats], variance: Floats) -> Floats:
    """Weighted mean of the blocks at all shifts, after multiplication of their coefficients by `gains`."""
    matrix = dct_matrix()
    total, weights = 1e-6 * padded, np.full_like(padded, 1e-6)  # for the margin that no block covers
    for top in range(0, SIDE, STEP):
        for left in range(0, SIDE, STEP):
            rows, columns = ((n - start) // SIDE for n, start in zip(padded.shape, (top, left), strict=True))
            part = (slice(top, top + rows * SIDE), slice(left, left + columns * SIDE))

            coefficients = transform(tiled(padded[part]), matrix)
            gain = gains(coefficients, coefficients if first is padded else transform(tiled(first[part]), matrix))
            gain[:, 0, 0] = 1
            weight = 1 / (np.square(gain) * variance).mean((1, 2)).clip(1e-12)
            result = transform(gain * coefficients, matrix.T) * weight[:, None, None]
            total[part] += result.reshape(rows, columns, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(total[part].shape)
            weights[part] += np.repeat(np.repeat(weight.reshape(rows, columns), SIDE, 0), SIDE, 1)
    return total / weights


def tiled(plane: Floats) -> Floats:
    """A plane (R S, C S) as blocks (R C, S, S)."""
    rows, columns = plane.shape[0] // SIDE, plane.shape[1] // SIDE
    return np.ascontiguousarray(plane.reshape(rows, SIDE, columns, SIDE).transpose(0, 2, 1, 3)).reshape(-1, SIDE, SIDE)
