"""Where a restored picture is invented: how far several samples of it differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from odekit.core.image import Image

SCALE = 4.0
"""The map is white where the samples' standard deviation is 1/4 of the range of pixels."""


def spread_of(variants: Sequence[Image]) -> Image:
    """The standard deviation of the samples at each pixel (root of the mean variance over R, G, B), times `SCALE`.

    Smoothed over 3 x 3 pixels, since a few samples say little about one. Grey, in [0, 1]; at least two variants.
    """
    from scipy.ndimage import uniform_filter

    pixels = np.stack([variant.pixels for variant in variants]).astype(np.float64)
    variance = uniform_filter(pixels.var(axis=0, ddof=1).mean(axis=0), size=3, mode="nearest")
    grey = np.clip(SCALE * np.sqrt(variance), 0, 1).astype(np.float32)
    return variants[0].with_pixels(np.repeat(grey[None], 3, axis=0))
