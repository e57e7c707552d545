"""What age does to a paper print: scratches through the emulsion, and stains of water and rust. Our own definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.parts.corruptions.primitives import Pixels, cloud, levels, unit

PAPER = np.array([0.96, 0.93, 0.86])
"""The paper under the emulsion, RGB."""
RUST = np.array([0.62, 0.44, 0.22])
"""What an old stain lets through, RGB."""


def scratches(pixels: Pixels, rng: np.random.Generator, *, count: int, strength: float) -> Pixels:
    """Thin wavering lines, most of them upright, that bare the paper; a quarter are dirt and dark.

    Args:
        pixels: the picture.
        rng: draws the lines.
        count: number of lines.
        strength: how much of the picture is gone in the middle of a line, 0 to 1.
    """
    values = unit(pixels)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    for _ in range(count):
        cover = strength * _line(rng, y, x)[..., None]
        values = values * (1 - cover) + cover * (PAPER if rng.random() < 0.75 else 0.12 * PAPER)
    return levels(values)


def _line(rng: np.random.Generator, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far one scratch covers each pixel (H, W), in [0, 1]: a soft-edged wave about a straight line."""
    side = min(y.shape)
    angle = np.pi / 2 + rng.normal(0, 0.35)
    y, x = y - rng.uniform(0, y.shape[0]), x - rng.uniform(0, x.shape[1])
    along = x * np.cos(angle) + y * np.sin(angle)
    wave = (
        rng.uniform(0, 0.012, 2)
        * side
        * np.sin(along[..., None] / side * rng.uniform(1, 9, 2) + rng.uniform(0, 6.3, 2))
    )
    beside = np.abs(y * np.cos(angle) - x * np.sin(angle) + wave.sum(axis=-1))
    half = rng.uniform(0.1, 0.5) * max(1.0, side / 96)
    reach = rng.uniform(0.15, 0.8) * side
    ends = np.clip((reach - np.abs(along)) / (0.15 * reach), 0, 1)
    return np.asarray(np.clip(half + 0.5 - beside, 0, min(1.0, 2 * half + 0.3)) * ends)


def stains(pixels: Pixels, rng: np.random.Generator, *, count: int, strength: float) -> Pixels:
    """Brownish blots with ragged outlines and a darker rim, as a dried drop leaves.

    Args:
        pixels: the picture.
        rng: draws the blots.
        count: number of blots.
        strength: how much light the middle of a blot takes, 0 to 1.
    """
    values = unit(pixels)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    for _ in range(count):
        cover = strength * _blot(rng, y, x)[..., None]
        values = values * (1 - cover * (1 - RUST))
    return levels(values)


def _blot(rng: np.random.Generator, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """How strong one blot is at each pixel (H, W), in [0, 1]: 0.6 inside, 1 at the rim, 0 outside."""
    height, width = y.shape
    side = min(height, width)
    radius = side * rng.uniform(0.15, 0.38)
    away = (
        np.hypot(y - rng.uniform(0.1, 0.9) * height, (x - rng.uniform(0.1, 0.9) * width) * rng.uniform(0.7, 1.4))
        / radius
    )
    ragged = away + 0.9 * (cloud(rng, height, width, 2.2) - 0.5)
    edge = max(1.5 / radius, 0.04)
    inside = 1 / (1 + np.exp(np.clip((ragged - 1) / (0.4 * edge), -40, 40)))
    rim = np.exp(-(((ragged - 1 + 1.2 * edge) / (1.2 * edge)) ** 2))
    return np.asarray(inside * (0.6 + 0.4 * rim))
