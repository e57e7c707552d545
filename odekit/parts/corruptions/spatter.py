"""Drops of water or mud on the lens (Hendrycks and Dietterich 2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.parts.corruptions.blur import gaussian
from odekit.parts.corruptions.primitives import Pixels, Unit, canny, equalise, levels, unit

WATER = np.array([175, 238, 238]) / 255
"""Pale turquoise, RGB."""
MUD = np.array([63, 42, 20]) / 255
"""Dark brown, RGB."""
RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
"""Lights the drops from the top left."""


def spatter(
    pixels: Pixels,
    rng: np.random.Generator,
    *,
    loc: float,
    scale: float,
    sigma: float,
    threshold: float,
    strength: float,
    mud: int,
) -> Pixels:
    """Smoothed noise above a threshold is liquid: water adds light along the rims of its drops, mud covers.

    Args:
        pixels: the picture.
        rng: draws the noise.
        loc: mean of the noise.
        scale: its standard deviation before smoothing.
        sigma: deviation of the smoothing, in pixels: the size of the drops.
        threshold: liquid is where the smoothed noise exceeds it.
        strength: water: the light it adds, 1 is a full scale; mud: deviation in pixels of its soft rim.
        mud: 0 water, 1 mud.
    """
    liquid = gaussian(loc + scale * rng.standard_normal(pixels.shape[:2]), sigma)
    liquid = np.where(liquid < threshold, 0.0, liquid)
    values = unit(pixels)
    if mud:
        cover = gaussian((liquid > threshold).astype(np.float64), strength)
        cover = np.where(cover < 0.8, 0.0, cover)[..., None]
        return levels(values * (1 - cover) + MUD * cover)
    return levels(values + strength * _gleam(liquid)[..., None] * WATER)


def _gleam(liquid: Unit) -> NDArray[np.float64]:
    """The light that water adds, (H, W) in [0, 1]: liquid times a lit relief of the distance to the drops' rims."""
    from scipy import ndimage

    depth = levels(liquid)
    edges = canny(depth, 50, 150)
    distance = ndimage.distance_transform_edt(~edges) if edges.any() else np.full(depth.shape, 20.0)
    smooth = ndimage.uniform_filter(np.minimum(distance, 20.0), 3, mode="mirror")
    even = equalise(smooth.astype(np.uint8)).astype(np.float64)
    relief = np.clip(ndimage.correlate(even, RELIEF, mode="mirror"), 0, 255)
    lit = depth * np.rint(ndimage.uniform_filter(relief, 3, mode="mirror"))
    return np.asarray(lit / (lit.max() or 1.0))
