"""Digital damage: contrast, brightness, saturation, pixelation and JPEG (Hendrycks and Dietterich 2019)."""

from __future__ import annotations

import io

import numpy as np

from odekit.parts.corruptions.primitives import Pixels, to_levels, to_unit


def contrast(pixels: Pixels, rng: np.random.Generator, *, factor: float) -> Pixels:
    """(x - mean) * factor + mean, where the mean is that of each channel over the picture."""
    values = to_unit(pixels)
    mean = values.mean(axis=(0, 1))
    return to_levels((values - mean) * factor + mean)


def brightness(pixels: Pixels, rng: np.random.Generator, *, add: float) -> Pixels:
    """Replace V by V + add in HSV."""
    from skimage.color import hsv2rgb, rgb2hsv

    hsv = rgb2hsv(to_unit(pixels))
    hsv[..., 2] = np.clip(hsv[..., 2] + add, 0, 1)
    return to_levels(hsv2rgb(hsv))


def saturate(pixels: Pixels, rng: np.random.Generator, *, factor: float, add: float) -> Pixels:
    """Replace S by S * factor + add in HSV. Greys have no hue and become red if `add` is above 0."""
    from skimage.color import hsv2rgb, rgb2hsv

    hsv = rgb2hsv(to_unit(pixels))
    hsv[..., 1] = np.clip(hsv[..., 1] * factor + add, 0, 1)
    return to_levels(hsv2rgb(hsv))


def pixelate(pixels: Pixels, rng: np.random.Generator, *, scale: float) -> Pixels:
    """Reduce to this fraction of the sides (rounded down to whole pixels) and enlarge again, both with a box filter."""
    from PIL import Image

    height, width = pixels.shape[:2]
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BOX)).copy()


def jpeg(pixels: Pixels, rng: np.random.Generator, *, quality: int) -> Pixels:
    """Compress and decode as JPEG of this quality with Pillow (chroma at half resolution)."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).copy()
