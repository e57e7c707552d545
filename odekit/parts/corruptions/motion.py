"""Motion blur along a line, as defined by ImageMagick."""

from __future__ import annotations

import math

import numpy as np

from odekit.parts.corruptions.primitives import Pixels, Unit, to_levels, to_unit


def blur_along_line(values: Unit, radius: float, sigma: float, angle: float) -> Unit:
    """Blur values (H, W, C) along a line at `angle` degrees, to one side; edge pixels are repeated.

    Tap i = 0 .. 2 ceil(radius) lies i pixels away, rounded to whole pixels. Its weight is exp(-i^2 / (2 sigma^2)) over
    the sum of the weights.
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
    """Camera motion during the exposure.

    Args:
        pixels: the picture.
        rng: draws the angle if none is given.
        radius: half the number of taps, in pixels.
        sigma: standard deviation of the taps' weights, in pixels.
        angle: direction in degrees, 0 is to the right; None: drawn from U(-45, 45).
    """
    random_angle = rng.uniform(-45, 45)
    return to_levels(
        blur_along_line(to_unit(pixels), radius, sigma, random_angle if angle is None else angle), summed=True
    )
