"""Bilinear resampling: enlargement about the centre, and reading a picture between its pixels."""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@functools.lru_cache(maxsize=256)
def _zoom_axis(length: int, factor: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Left neighbour and weight of the right one for every output position of `clipped_zoom` along one axis."""
    crop = int(np.ceil(length / factor))
    top = (length - crop) // 2
    full = round(crop * factor)
    position = np.arange(length) + (full - length) // 2
    place = position * ((crop - 1) / max(full - 1, 1))
    left = np.minimum(place.astype(np.intp), max(crop - 2, 0))
    return left + top, (place - left).astype(np.float64)


def clipped_zoom(values: NDArray[Any], factor: float) -> NDArray[Any]:
    """Values (H, W) or (H, W, C) enlarged by factor >= 1 about the centre and cropped to their old size.

    Bilinear, with the corners of the crop mapped onto the corners of its enlargement.
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


def fold(index: NDArray[np.intp], length: int, border: Literal["mirror", "reflect"]) -> NDArray[np.intp]:
    """Indices outside 0..length-1 brought inside: "mirror" does not repeat the edge pixel, "reflect" does."""
    if length == 1:
        return np.zeros_like(index)
    if border == "mirror":
        index = np.abs(index) % (2 * length - 2)
        return np.minimum(index, 2 * length - 2 - index)
    index = index % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)


def sample(
    values: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64], border: Literal["mirror", "reflect"]
) -> NDArray[np.float64]:
    """Values (H, W, C) read bilinearly at the positions y, x (H', W') in pixels, as (H', W', C)."""
    height, width = values.shape[:2]
    top, left = np.floor(y), np.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    rows = [fold(top.astype(np.intp) + i, height, border) * width for i in (0, 1)]
    columns = [fold(left.astype(np.intp) + i, width, border) for i in (0, 1)]
    flat = values.reshape(height * width, -1)
    upper, lower = ((1 - right) * flat[line + columns[0]] + right * flat[line + columns[1]] for line in rows)
    return np.asarray((1 - down) * upper + down * lower)
