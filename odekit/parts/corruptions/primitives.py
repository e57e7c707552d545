"""From 8-bit levels to numbers and back, as the published corruptions do it."""

from __future__ import annotations

import functools
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""uint8 (H, W, 3), sRGB-encoded RGB."""
Unit: TypeAlias = NDArray[np.float64]
"""float64 (H, W, 3) or (H, W), the same values over 255."""


def unit(pixels: Pixels) -> Unit:
    """Levels 0..255 as numbers in [0, 1]."""
    return pixels / 255.0


def levels(values: Unit, *, summed: bool = False) -> Pixels:
    """Numbers as levels: clipped to [0, 1], times 255, cut off below the point.

    Cut off, not rounded: ImageNet-C was made so (`np.uint8(method(picture))`), and the reference statistics too. It
    costs half a level of brightness on average, which shows in mild corruptions. `summed` says that the values are
    weighted sums, whose rounding errors must not push a whole level below itself: a flat picture then stays flat.
    """
    if summed:
        values = values + 1e-9
    return (np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)


Grey = NDArray[np.uint8]


def canny(grey: Grey, low: float, high: float) -> NDArray[np.bool_]:
    """Edges after Canny (1986): Sobel gradients, thinned across the edge, followed from `high` down to `low`.

    The strength is |gx| + |gy| of 3x3 Sobel sums of levels (not divided by 8); directions are told in steps of 45
    degrees; a weak edge (above `low`) counts where it touches a strong one (above `high`), diagonals included.

    Args:
        grey: uint8 (H, W).
        low: least strength of an edge that touches a strong one, 0 to 2040.
        high: strength above which an edge is strong.
    """
    from scipy import ndimage

    values = grey.astype(np.float64)
    gx, gy = (ndimage.sobel(values, axis=axis, mode="nearest") for axis in (1, 0))
    strength = np.abs(gx) + np.abs(gy)
    around = np.pad(strength, 1)
    height, width = grey.shape

    def at(dy: int, dx: int) -> NDArray[np.float64]:
        return around[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    slope = np.tan(np.pi / 8)
    flat, steep = np.abs(gy) < slope * np.abs(gx), slope * np.abs(gy) > np.abs(gx)
    rising = gx * gy < 0
    before = np.select([flat, steep, rising], [at(0, -1), at(-1, 0), at(-1, 1)], at(-1, -1))
    after = np.select([flat, steep, rising], [at(0, 1), at(1, 0), at(1, -1)], at(1, 1))
    # of two equal neighbours one is kept; which one is a convention
    diagonal = ~flat & ~steep
    ridge = (strength > low) & (strength > before) & np.where(diagonal, strength > after, strength >= after)
    labels, _ = ndimage.label(ridge, structure=np.ones((3, 3)))
    strong = np.unique(labels[ridge & (strength > high)])
    return np.isin(labels, strong[strong > 0])


def equalise(grey: Grey) -> Grey:
    """Levels spread so that each is as frequent as the next: 255 (cdf - cdf_min) / (1 - cdf_min)."""
    counts = np.bincount(grey.ravel(), minlength=256)
    total = np.cumsum(counts)
    least = counts[np.flatnonzero(counts)[0]]
    if least == grey.size:
        return grey
    table = np.rint(np.maximum(total - least, 0) * (255.0 / (grey.size - least)))
    return np.asarray(table.astype(np.uint8)[grey])


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
