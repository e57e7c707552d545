"""Fog and snow (Hendrycks and Dietterich 2019). Frost is in `odekit.parts.corruptions.frost`."""

from __future__ import annotations

import numpy as np

from odekit.images.colour import LUMA_WEIGHTS
from odekit.parts.corruptions.motion import blur_along_line
from odekit.parts.corruptions.primitives import Pixels, clipped_zoom, plasma_crop, to_levels, to_unit


def fog(pixels: Pixels, rng: np.random.Generator, *, strength: float, decay: float) -> Pixels:
    """(x + strength * cloud) * max / (max + strength), where max is the largest value of the picture.

    The cloud is a plasma in [0, 1]; it is rough for a `decay` near 1 and smooth for larger ones.
    """
    values = to_unit(pixels)
    largest = values.max()
    haze = strength * plasma_crop(rng, pixels.shape[0], pixels.shape[1], decay)[..., None]
    return to_levels((values + haze) * largest / max(largest + strength, 1e-9))


def snow(
    pixels: Pixels,
    rng: np.random.Generator,
    *,
    loc: float,
    scale: float,
    zoom: float,
    threshold: float,
    radius: float,
    sigma: float,
    mix: float,
) -> Pixels:
    """Motion-blurred snowflakes on a whitened picture.

    Args:
        pixels: the picture.
        rng: draws the flakes and the direction of their motion.
        loc: mean of the Gaussian noise from which the flakes are made.
        scale: standard deviation of the noise.
        zoom: enlargement of the flakes.
        threshold: flakes are where the noise exceeds it.
        radius: half the number of taps of the motion blur, whose angle is drawn from U(-135, -45) degrees.
        sigma: standard deviation of the taps' weights, in pixels.
        mix: weight of the picture; the rest is the weight of the whitened picture, max(x, 1.5 grey + 0.5).
    """
    layer = clipped_zoom(loc + scale * rng.standard_normal(pixels.shape[:2]), zoom)
    layer = np.where(layer < threshold, 0.0, layer)
    flakes = blur_along_line(to_unit(to_levels(layer))[..., None], radius, sigma, rng.uniform(-135, -45))
    values = to_unit(pixels)
    white = np.maximum(values, (values @ LUMA_WEIGHTS)[..., None] * 1.5 + 0.5)
    return to_levels(mix * values + (1 - mix) * white + flakes + flakes[::-1, ::-1])
