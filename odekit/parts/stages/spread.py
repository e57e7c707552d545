"""Uncertainty map of a restored face: the standard deviation of several samples at each pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from odekit.core.image import Image

SCALE = 4.0
"""The map is white where the standard deviation of the samples is 1/4 of the pixel range."""


def sample_spread(variants: Sequence[Image]) -> Image:
    """Standard deviation of the samples at each pixel (root of the mean variance over R, G, B), times `SCALE`.

    The variance is averaged over 3 x 3 pixels, because a few samples give a noisy estimate at a single pixel.

    Args:
        variants: at least two samples of the same picture.

    Returns:
        A grey picture in [0, 1].
    """
    from scipy.ndimage import uniform_filter

    pixels = np.stack([variant.pixels for variant in variants]).astype(np.float64)
    variance = uniform_filter(pixels.var(axis=0, ddof=1).mean(axis=0), size=3, mode="nearest")
    grey = np.clip(SCALE * np.sqrt(variance), 0, 1).astype(np.float32)
    return variants[0].with_pixels(np.repeat(grey[None], 3, axis=0))
