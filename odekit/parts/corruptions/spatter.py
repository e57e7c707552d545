"""Drops of water or mud on the lens (Hendrycks and Dietterich 2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.parts.corruptions.blur import smooth_gaussian
from odekit.parts.corruptions.primitives import Pixels, Unit, canny, equalise, to_levels, to_unit

WATER = np.array([175, 238, 238]) / 255
"""Pale turquoise, RGB."""
MUD = np.array([63, 42, 20]) / 255
"""Dark brown, RGB."""
RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
"""Relief filter: light from the top left."""


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
    """Liquid where smoothed noise exceeds a threshold: water adds light at the rims of its drops, mud is opaque.

    Args:
        pixels: the picture.
        rng: draws the noise.
        loc: mean of the noise.
        scale: standard deviation of the noise before smoothing.
        sigma: standard deviation of the smoothing in pixels, which sets the size of the drops.
        threshold: of the smoothed noise.
        strength: for water, the light it adds (1 is full scale); for mud, the standard deviation of its soft rim in
            pixels.
        mud: 0 for water, 1 for mud.
    """
    liquid = smooth_gaussian(loc + scale * rng.standard_normal(pixels.shape[:2]), sigma)
    liquid = np.where(liquid < threshold, 0.0, liquid)
    values = to_unit(pixels)
    if mud:
        opacity = smooth_gaussian((liquid > threshold).astype(np.float64), strength)
        opacity = np.where(opacity < 0.8, 0.0, opacity)[..., None]
        return to_levels(values * (1 - opacity) + MUD * opacity)
    return to_levels(values + strength * _highlights(liquid)[..., None] * WATER)


def _highlights(liquid: Unit) -> NDArray[np.float64]:
    """Light added by water, (H, W) in [0, 1]: the liquid times a lit relief of the distance to the drops' rims."""
    from scipy import ndimage

    depth = to_levels(liquid)
    edges = canny(depth, 50, 150)
    distance = ndimage.distance_transform_edt(~edges) if edges.any() else np.full(depth.shape, 20.0)
    smooth = ndimage.uniform_filter(np.minimum(distance, 20.0), 3, mode="mirror")
    equalised = equalise(smooth.astype(np.uint8)).astype(np.float64)
    relief = np.clip(ndimage.correlate(equalised, RELIEF, mode="mirror"), 0, 255)
    lit = depth * np.rint(ndimage.uniform_filter(relief, 3, mode="mirror"))
    return np.asarray(lit / (lit.max() or 1.0))
