"""Building blocks of the corruptions: conversion of levels, edges, equalisation, plasma noise, and resampling."""

from __future__ import annotations

import functools
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""uint8 (H, W, 3), sRGB-encoded RGB."""
Unit: TypeAlias = NDArray[np.float64]
"""float64 (H, W, 3) or (H, W), levels divided by 255."""
Grey = NDArray[np.uint8]
"""uint8 (H, W)."""


def to_unit(pixels: Pixels) -> Unit:
    """Convert levels 0..255 to numbers in [0, 1]."""
    return pixels / 255.0


def to_levels(values: Unit, *, summed: bool = False) -> Pixels:
    """Convert numbers to levels: clip to [0, 1], multiply by 255, and truncate.

    ImageNet-C and its reference statistics truncate instead of rounding (`np.uint8(method(picture))`), which makes
    pictures darker by half a level on average; this is visible in mild corruptions.

    Args:
        values: in [0, 1] after clipping.
        summed: the values are weighted sums. A small offset then protects whole levels from rounding errors, so that a
            flat picture stays flat.
    """
    if summed:
        values = values + 1e-9
    return (np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)


def canny(grey: Grey, low: float, high: float) -> NDArray[np.bool_]:
    """Canny edge detection (1986): Sobel gradients, non-maximum suppression, hysteresis from `high` down to `low`.

    The strength is |gx| + |gy| of 3 x 3 Sobel sums of levels (not divided by 8). Directions are quantised to 45
    degrees. A weak edge (above `low`) is kept if it is connected to a strong one (above `high`), also diagonally.

    Args:
        grey: uint8 (H, W).
        low: threshold of weak edges, 0 to 2040.
        high: threshold of strong edges.
    """
    from scipy import ndimage

    values = grey.astype(np.float64)
    gx, gy = (ndimage.sobel(values, axis=axis, mode="nearest") for axis in (1, 0))
    strength = np.abs(gx) + np.abs(gy)
    padded = np.pad(strength, 1)
    height, width = grey.shape

    def at(dy: int, dx: int) -> NDArray[np.float64]:
        return padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    slope = np.tan(np.pi / 8)
    flat, steep = np.abs(gy) < slope * np.abs(gx), slope * np.abs(gy) > np.abs(gx)
    rising = gx * gy < 0
    before = np.select([flat, steep, rising], [at(0, -1), at(-1, 0), at(-1, 1)], at(-1, -1))
    after = np.select([flat, steep, rising], [at(0, 1), at(1, 0), at(1, -1)], at(1, 1))
    # Of two equal neighbours one is kept; the choice is a convention.
    diagonal = ~flat & ~steep
    ridge = (strength > low) & (strength > before) & np.where(diagonal, strength > after, strength >= after)
    labels, _ = ndimage.label(ridge, structure=np.ones((3, 3)))
    strong = np.unique(labels[ridge & (strength > high)])
    return np.isin(labels, strong[strong > 0])


def equalise(grey: Grey) -> Grey:
    """Histogram equalisation: 255 (cdf - cdf_min) / (1 - cdf_min)."""
    counts = np.bincount(grey.ravel(), minlength=256)
    cumulative = np.cumsum(counts)
    first = counts[np.flatnonzero(counts)[0]]
    if first == grey.size:
        return grey
    table = np.rint(np.maximum(cumulative - first, 0) * (255.0 / (grey.size - first)))
    return np.asarray(table.astype(np.uint8)[grey])


def plasma(rng: np.random.Generator, side: int, decay: float) -> NDArray[np.float64]:
    """Plasma noise (side, side), periodic, scaled to a minimum of 0 and a maximum of 1.

    Midpoints are the mean of their four corners plus U(-a, a); a starts at 100^2 and is reduced with every halving of
    the step, as in the published fog.

    Args:
        rng: draws the midpoints.
        side: a power of two.
        decay: 1 is rough, 3 is smooth.
    """
    field = np.zeros((1, 1))
    amplitude = 100.0
    while len(field) < side:
        field = _refine(rng, field, amplitude * amplitude)
        amplitude /= decay
    field -= field.min()
    return field / (field.max() or 1.0)


def _refine(rng: np.random.Generator, coarse: NDArray[np.float64], jitter: float) -> NDArray[np.float64]:
    """Refine a map (n, n) to a grid (2n, 2n): first the centres of squares, then the midpoints of their sides.

    Every new point is the mean of its four neighbours (periodic) plus U(-jitter, jitter).
    """
    side = len(coarse)
    noise = rng.uniform(-jitter, jitter, size=(3, side, side))
    below, right = np.roll(coarse, -1, axis=0), np.roll(coarse, -1, axis=1)
    centre = (coarse + below + right + np.roll(below, -1, axis=1)) / 4 + noise[0]
    fine = np.empty((2 * side, 2 * side))
    fine[::2, ::2], fine[1::2, 1::2] = coarse, centre
    fine[::2, 1::2] = (coarse + right + centre + np.roll(centre, 1, axis=0)) / 4 + noise[1]
    fine[1::2, ::2] = (coarse + below + centre + np.roll(centre, 1, axis=1)) / 4 + noise[2]
    return fine


def plasma_crop(rng: np.random.Generator, height: int, width: int, decay: float) -> NDArray[np.float64]:
    """Plasma noise (height, width), cropped from a square whose side is the next power of two."""
    side = 1 << (max(height, width) - 1).bit_length()
    return plasma(rng, side, decay)[:height, :width]


@functools.lru_cache(maxsize=256)
def _zoom_axis(length: int, factor: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For every output position of `clipped_zoom` along an axis: left neighbour, and weight of the right one."""
    crop = int(np.ceil(length / factor))
    top = (length - crop) // 2
    enlarged = round(crop * factor)
    output = np.arange(length) + (enlarged - length) // 2
    source = output * ((crop - 1) / max(enlarged - 1, 1))
    left = np.minimum(source.astype(np.intp), max(crop - 2, 0))
    return left + top, (source - left).astype(np.float64)


def clipped_zoom(values: NDArray[Any], factor: float) -> NDArray[Any]:
    """Enlarge values (H, W) or (H, W, C) by factor >= 1 about the centre, and crop them to their original size.

    Bilinear interpolation; the corners of the crop are mapped to the corners of its enlargement.
    """
    if factor == 1:
        return values
    for axis in (0, 1):
        length = values.shape[axis]
        left, weight = _zoom_axis(length, factor)
        low = values.take(left, axis)
        step = values.take(np.minimum(left + 1, length - 1), axis)
        step -= low
        step *= weight.reshape((-1,) + (1,) * (values.ndim - 1 - axis))
        step += low
        values = step
    return values


def fold_index(index: NDArray[np.intp], length: int, border: Literal["mirror", "reflect"]) -> NDArray[np.intp]:
    """Map indices outside 0..length-1 inside: "mirror" does not repeat the edge pixel, "reflect" does."""
    if length == 1:
        return np.zeros_like(index)
    if border == "mirror":
        index = np.abs(index) % (2 * length - 2)
        return np.minimum(index, 2 * length - 2 - index)
    index = index % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)


def sample_bilinear(
    values: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64], border: Literal["mirror", "reflect"]
) -> NDArray[np.float64]:
    """Sample values (H, W, C) bilinearly at positions y, x (H', W') in pixels; returns (H', W', C)."""
    height, width = values.shape[:2]
    top, left = np.floor(y), np.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    rows = [fold_index(top.astype(np.intp) + i, height, border) * width for i in (0, 1)]
    columns = [fold_index(left.astype(np.intp) + i, width, border) for i in (0, 1)]
    flat = values.reshape(height * width, -1)
    upper, lower = ((1 - right) * flat[line + columns[0]] + right * flat[line + columns[1]] for line in rows)
    return np.asarray((1 - down) * upper + down * lower)
