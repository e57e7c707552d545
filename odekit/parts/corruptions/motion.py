"""Blur along a line, as ImageMagick's motion blur defines it."""

from __future__ import annotations

import math

import numpy as np

from odekit.parts.corruptions.primitives import Pixels, Unit, levels, unit


def streak(values: Unit, radius: float, sigma: float, angle: float) -> Unit:
    """Values (H, W, C) blurred to one side along a line at `angle` degrees; the edge is repeated outwards.

    Tap i = 0 .. 2 ceil(radius) has the weight exp(-i^2 / (2 sigma^2)) over their sum and lies i pixels away, at the
    nearest whole pixel.
    """
    count = 2 * math.ceil(radius) + 1
    weights = np.exp(-(np.arange(count) ** 2) / (2 * max(sigma, 1e-3) ** 2))
    weights /= weights.sum()
    down = [math.ceil(i * math.sin(math.radians(angle)) - 0.5) for i in range(count)]
    right = [math.ceil(i * math.cos(math.radians(angle)) - 0.5) for i in range(count)]
    top, left = max(0, -min(down)), max(0, -min(right))
    padded = np.pad(values, ((top, max(0, *down)), (left, max(0, *right)), (0, 0)), mode="edge")
    height, width = values.shape[:2]
    total = np.zeros_like(values)
    for weight, dy, dx in zip(weights, down, right, strict=True):
        total += weight * padded[top + dy : top + dy + height, left + dx : left + dx + width]
    return total


def motion_blur(
    pixels: Pixels, rng: np.random.Generator, *, radius: float, sigma: float, angle: float | None = None
) -> Pixels:
    """The camera moved while the shutter was open.

    Args:
        pixels: the picture.
        rng: draws the angle where none is given.
        radius: half the number of taps, in pixels.
        sigma: how fast the trail fades, in pixels.
        angle: direction in degrees, 0 = to the right; drawn from U(-45, 45) where None.
    """
    drawn = rng.uniform(-45, 45)
    return levels(streak(unit(pixels), radius, sigma, drawn if angle is None else angle), summed=True)
