"""Fog and snow (Hendrycks and Dietterich 2019). Frost has a file of its own."""

from __future__ import annotations

import numpy as np

from odekit.images.colour import LUMA
from odekit.parts.corruptions.motion import streak
from odekit.parts.corruptions.primitives import Pixels, clipped_zoom, cloud, levels, unit

"""Weights of R, G and B in the grey value (ITU-R BT.601)."""


def fog(pixels: Pixels, rng: np.random.Generator, *, strength: float, decay: float) -> Pixels:
    """(x + strength * cloud) * max / (max + strength), with max the greatest value of the picture.

    The cloud is a plasma in [0, 1], the rougher the nearer `decay` is to 1.
    """
    values = unit(pixels)
    top = values.max()
    veil = strength * cloud(rng, pixels.shape[0], pixels.shape[1], decay)[..., None]
    return levels((values + veil) * top / max(top + strength, 1e-9))


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
    """Flakes drawn out by the wind, before and behind a whitened picture.

    Args:
        pixels: the picture.
        rng: draws flakes and wind.
        loc: mean of the Gaussian noise that the flakes are cut out of.
        scale: its standard deviation.
        zoom: enlargement of the flakes.
        threshold: noise below it is no flake.
        radius: half the taps of the motion blur at an angle from U(-135, -45) degrees.
        sigma: how fast its trail fades, in pixels.
        mix: weight of the picture against its whitened self, max(x, 1.5 grey + 0.5).
    """
    layer = clipped_zoom(loc + scale * rng.standard_normal(pixels.shape[:2]), zoom)
    layer = np.where(layer < threshold, 0.0, layer)
    flakes = streak(unit(levels(layer))[..., None], radius, sigma, rng.uniform(-135, -45))
    values = unit(pixels)
    white = np.maximum(values, (values @ LUMA)[..., None] * 1.5 + 0.5)
    return levels(mix * values + (1 - mix) * white + flakes + flakes[::-1, ::-1])
