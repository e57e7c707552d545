"""Masks: pixels or columns replaced by colours independent of the picture (CODE, 2024; ODEdit).

A mask covers each pixel or column with probability `fraction`, so its share of the picture is `fraction` on average.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from odekit.errors import ConfigError
from odekit.parts.corruptions.primitives import Pixels

Colour: TypeAlias = "str | tuple[int, int, int]"
"""`one` colour drawn per picture, `each`: drawn per masked pixel or column, or a fixed (R, G, B) of levels 0..255."""


def checked_colour(colour: Any) -> Colour:
    """The colour. Raises ConfigError if it is not a valid one."""
    if isinstance(colour, str) and colour in ("one", "each"):
        return colour
    fixed = np.asarray(colour)
    if fixed.shape != (3,) or fixed.dtype.kind not in "iu" or fixed.min() < 0 or fixed.max() > 255:
        raise ConfigError(f"colour {colour!r} is not 'one', 'each' or three whole numbers 0..255; give one of these")
    red, green, blue = (int(level) for level in fixed)
    return red, green, blue


def _colours(rng: np.random.Generator, colour: Colour, shape: tuple[int, ...]) -> NDArray[Any]:
    """Levels for the mask: drawn from 0..254, as in the published code, or the fixed ones."""
    if colour == "one":
        return rng.integers(0, 255, size=(1, 1, 3))
    if colour == "each":
        return rng.integers(0, 255, size=shape)
    return np.asarray(colour).reshape(1, 1, 3)


def mask_pixels(
    pixels: Pixels, rng: np.random.Generator, *, fraction: float, colour: Colour = "one", per_channel: bool = False
) -> Pixels:
    """Replace random pixels by another colour.

    Args:
        pixels: the picture.
        rng: draws mask and colours.
        fraction: probability of each pixel.
        colour: one colour for the picture (as in the paper), one for each pixel, or a fixed one.
        per_channel: draw a mask for each channel.
    """
    height, width = pixels.shape[:2]
    mask = rng.random((height, width, 3 if per_channel else 1)) < fraction
    return np.where(mask, _colours(rng, colour, pixels.shape), pixels).astype(np.uint8)


def mask_lines(
    pixels: Pixels, rng: np.random.Generator, *, fraction: float, colour: Colour = "each", per_channel: bool = True
) -> Pixels:
    """Replace random columns by another colour.

    Args:
        pixels: the picture.
        rng: draws mask and colours.
        fraction: probability of each column.
        colour: one for each column (as in the paper), one for the picture, or a fixed one.
        per_channel: draw the columns for each channel (as in the paper), so that a line may change one channel only.
    """
    width = pixels.shape[1]
    mask = rng.random((1, width, 3 if per_channel else 1)) < fraction
    return np.where(mask, _colours(rng, colour, (1, width, 3)), pixels).astype(np.uint8)


def mask_gaussian(
    pixels: Pixels, rng: np.random.Generator, *, fraction: float, std: float = 255.0, per_channel: bool = False
) -> Pixels:
    """Replace random pixels by Gaussian noise N(0, std^2) in levels, clipped to 0..255: half of the values are black.

    Args:
        pixels: the picture.
        rng: draws mask and noise.
        fraction: probability of each pixel.
        std: standard deviation in levels; the published value is the full scale.
        per_channel: draw a mask for each channel.
    """
    height, width = pixels.shape[:2]
    mask = rng.random((height, width, 3 if per_channel else 1)) < fraction
    noise = np.clip(std * rng.standard_normal(pixels.shape), 0, 255)
    return np.where(mask, noise, pixels).astype(np.uint8)
