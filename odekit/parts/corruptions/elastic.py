"""Elastic deformation: a random affine map, then a smooth random displacement (Simard et al. 2003; ImageNet-C)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.parts.corruptions.primitives import Pixels, sample_bilinear, to_levels, to_unit


def affine_map(height: int, width: int, moved: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2 x 3 affine map from output (x, y) to input (x, y) that displaces three points around the centre.

    Args:
        height: of the picture.
        width: of the picture.
        moved: (3, 2) displacements (x, y) in pixels of the points, which lie a third of the short side from the centre.
    """
    centre = np.array([width // 2, height // 2], dtype=np.float64)
    reach = float(max(1, min(height, width) // 3))
    source = centre + reach * np.array([[1, 1], [1, -1], [-1, -1]])
    target = np.column_stack([source + moved, np.ones(3)])
    return np.asarray(np.linalg.solve(target, source).T, dtype=np.float64)


def displacement(rng: np.random.Generator, shape: tuple[int, int], alpha: float, sigma: float) -> NDArray[np.float64]:
    """Random displacements (2, H, W) in pixels: U(-1, 1), smoothed by a Gaussian truncated at 3 sigma, times alpha."""
    from scipy import ndimage

    fields = rng.uniform(-1, 1, size=(2, *shape))
    if alpha == 0:
        return np.zeros_like(fields)
    return np.asarray(alpha * ndimage.gaussian_filter(fields, (0, sigma, sigma), mode="reflect", truncate=3.0))


def elastic(pixels: Pixels, rng: np.random.Generator, *, alpha: float, sigma: float, affine: float) -> Pixels:
    """Displace three points by U(-affine, affine), which gives an affine map; then apply a smooth random field.

    Args:
        pixels: the picture.
        rng: draws the map and the field.
        alpha: strength of the field in pixels, before smoothing.
        sigma: deviation of the smoothing in pixels.
        affine: greatest displacement of the three points along either axis, in pixels.
    """
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    across, down = affine_map(height, width, rng.uniform(-affine, affine, size=(3, 2)))
    values = sample_bilinear(
        to_unit(pixels), down[0] * x + down[1] * y + down[2], across[0] * x + across[1] * y + across[2], "mirror"
    )
    right, below = displacement(rng, (height, width), alpha, sigma)
    return to_levels(sample_bilinear(values, y + below, x + right, "reflect"), summed=True)
