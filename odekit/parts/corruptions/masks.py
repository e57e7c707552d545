"""Masks: pixels or lines replaced by colours that have nothing to do with the picture (CODE, 2024; ODEdit).

A mask hits each place with chance `fraction`, so that its share of the picture is `fraction` on average.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from odekit.errors import ConfigError
from odekit.parts.corruptions.primitives import Pixels

Colour: TypeAlias = "str | tuple[int, int, int]"
"""`one` drawn for the picture, `each` drawn for every place, or a fixed (R, G, B) of levels 0..255."""


def checked_colour(colour: Any) -> Colour:
    """The colour. Raises ConfigError for what is none."""
    if isinstance(colour, str) and colour in ("one", "each"):
        return colour
    fixed = np.asarray(colour)
    if fixed.shape != (3,) or fixed.dtype.kind not in "iu" or fixed.min() < 0 or fixed.max() > 255:
        raise ConfigError(f"colour {colour!r} is not 'one', 'each' or three whole numbers 0..255; give one of these")
    red, green, blue = (int(level) for level in fixed)
    return red, green, blue


def _colours(rng: np.random.Generator, colour: Colour, shape: tuple[int, ...]) -> NDArray[Any]:
    """Levels that fill the masked places: drawn from 0..254, as published, or the fixed ones."""
    if colour == "one":
        return rng.integers(0, 255, size=(1, 1, 3))
    if colour == "each":
        return rng.integers(0, 255, size=shape)
    return np.asarray(colour).reshape(1, 1, 3)


def mask_pixels(
    pixels: Pixels, rng: np.random.Generator, *, fraction: float, colour: Colour = "one", per_channel: bool = False
) -> Pixels:
    """Random pixels get another colour.

    Args:
        pixels: the picture.
        rng: draws mask and colours.
        fraction: chance of each pixel.
        colour: one colour for the picture (the paper's), one for each pixel, or a fixed one.
        per_channel: draw the mask for each channel by itself.
    """
    height, width = pixels.shape[:2]
    hit = rng.random((height, width, 3 if per_channel else 1)) < fraction
    return np.where(hit, _colours(rng, colour, pixels.shape), pixels).astype(np.uint8)


def mask_lines(
    pixels: Pixels, rng: np.random.Generator, *, fraction: float, colour: Colour = "each", per_channel: bool = True
) -> Pixels:
    """Random columns get another colour.

    Args:
        pixels: the picture.
        rng: draws mask and colours.
        fraction: chance of each column.
        colour: one for each column (the paper's), one for the picture, or a fixed one.
        per_channel: draw the columns for each channel by itself (the paper's), so that a line may tint only one.
    """
    width = pixels.shape[1]
    hit = rng.random((1, width, 3 if per_channel else 1)) < fraction
    return np.where(hit, _colours(rng, colour, (1, width, 3)), pixels).astype(np.uint8)


def mask_gaussian(
    pixels: Pixels, rng: np.random.Generator, *, fraction: float, std: float = 255.0, per_channel: bool = False
) -> Pixels:
    """Random pixels become Gaussian noise N(0, std^2) in levels, clipped to 0..255: half of the values are black.

    Args:
        pixels: the picture.
        rng: draws mask and noise.
        fraction: chance of each pixel.
        std: standard deviation in levels; a full scale as published.
        per_channel: draw the mask for each channel by itself.
    """
    height, width = pixels.shape[:2]
    hit = rng.random((height, width, 3 if per_channel else 1)) < fraction
    noise = np.clip(std * rng.standard_normal(pixels.shape), 0, 255)
    return np.where(hit, noise, pixels).astype(np.uint8)
