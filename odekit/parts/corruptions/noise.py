"""Sensor noise: Gaussian, shot, impulse and speckle noise (Hendrycks and Dietterich 2019)."""

from __future__ import annotations

import numpy as np

from odekit.parts.corruptions.primitives import Pixels, to_levels, to_unit


def gaussian_noise(pixels: Pixels, rng: np.random.Generator, *, std: float) -> Pixels:
    """x + n with n ~ N(0, std^2) on every channel; std is in units of the full scale."""
    return to_levels(to_unit(pixels) + std * rng.standard_normal(pixels.shape))


def shot_noise(pixels: Pixels, rng: np.random.Generator, *, photons: float) -> Pixels:
    """Poisson(photons * x) / photons: Poisson noise where white is `photons` counts."""
    return to_levels(rng.poisson(to_unit(pixels) * photons) / photons)


def impulse_noise(pixels: Pixels, rng: np.random.Generator, *, fraction: float) -> Pixels:
    """Salt-and-pepper noise: this fraction of the values, drawn per channel, becomes 0 or 255 with equal chance."""
    uniform = rng.random(pixels.shape)
    return np.where(uniform < fraction, np.where(uniform < fraction / 2, 0, 255), pixels).astype(np.uint8)


def speckle_noise(pixels: Pixels, rng: np.random.Generator, *, std: float) -> Pixels:
    """x + x n with n ~ N(0, std^2): noise proportional to intensity."""
    values = to_unit(pixels)
    return to_levels(values + values * (std * rng.standard_normal(pixels.shape)))
