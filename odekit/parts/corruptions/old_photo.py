"""Damage of old paper prints, defined by this project: scratches in the emulsion, and stains of water and rust."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.parts.corruptions.primitives import Pixels, plasma_crop, to_levels, to_unit

PAPER = np.array([0.96, 0.93, 0.86])
"""Colour of the paper under the emulsion, RGB."""
RUST = np.array([0.62, 0.44, 0.22])
"""Transmittance of an old stain, RGB."""


def scratches(pixels: Pixels, rng: np.random.Generator, *, count: int, strength: float) -> Pixels:
    """Thin wavy lines, mostly vertical, that expose the paper; a quarter of them are dark with dirt.

    Args:
        pixels: the picture.
        rng: draws the lines.
        count: number of lines.
        strength: opacity in the middle of a line, 0 to 1.
    """
    values = to_unit(pixels)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    for _ in range(count):
        opacity = strength * _line(rng, y, x)[..., None]
        values = values * (1 - opacity) + opacity * (PAPER if rng.random() < 0.75 else 0.12 * PAPER)
    return to_levels(values)


def _line(rng: np.random.Generator, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coverage (H, W) of one scratch in [0, 1]: a wave around a straight line, with soft edges."""
    side = min(y.shape)
    angle = np.pi / 2 + rng.normal(0, 0.35)
    y, x = y - rng.uniform(0, y.shape[0]), x - rng.uniform(0, x.shape[1])
    along = x * np.cos(angle) + y * np.sin(angle)
    wave = (
        rng.uniform(0, 0.012, 2)
        * side
        * np.sin(along[..., None] / side * rng.uniform(1, 9, 2) + rng.uniform(0, 6.3, 2))
    )
    distance = np.abs(y * np.cos(angle) - x * np.sin(angle) + wave.sum(axis=-1))
    half_width = rng.uniform(0.1, 0.5) * max(1.0, side / 96)
    half_length = rng.uniform(0.15, 0.8) * side
    ends = np.clip((half_length - np.abs(along)) / (0.15 * half_length), 0, 1)
    return np.asarray(np.clip(half_width + 0.5 - distance, 0, min(1.0, 2 * half_width + 0.3)) * ends)


def stains(pixels: Pixels, rng: np.random.Generator, *, count: int, strength: float) -> Pixels:
    """Brownish stains with irregular outlines and a darker rim, like dried drops.

    Args:
        pixels: the picture.
        rng: draws the stains.
        count: number of stains.
        strength: scale of a stain's density, 0 to 1.
    """
    values = to_unit(pixels)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    for _ in range(count):
        density = strength * _stain(rng, y, x)[..., None]
        values = values * (1 - density * (1 - RUST))
    return to_levels(values)


def _stain(rng: np.random.Generator, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Density (H, W) of one stain in [0, 1]: 0.6 inside, 1 at the rim, 0 outside."""
    height, width = y.shape
    side = min(height, width)
    radius = side * rng.uniform(0.15, 0.38)
    distance = (
        np.hypot(y - rng.uniform(0.1, 0.9) * height, (x - rng.uniform(0.1, 0.9) * width) * rng.uniform(0.7, 1.4))
        / radius
    )
    distance = distance + 0.9 * (plasma_crop(rng, height, width, 2.2) - 0.5)  # irregular outline
    edge = max(1.5 / radius, 0.04)
    inside = 1 / (1 + np.exp(np.clip((distance - 1) / (0.4 * edge), -40, 40)))
    rim = np.exp(-(((distance - 1 + 1.2 * edge) / (1.2 * edge)) ** 2))
    return np.asarray(inside * (0.6 + 0.4 * rim))
