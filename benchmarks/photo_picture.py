"""A photograph of 12 megapixels with four faces, drawn from examples/photos and from pictures of scikit-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "photos"
WIDTH, HEIGHT = 4000, 3000
FACES = (("portrait.jpg", 100, 100), ("speakers.jpg", 1500, 100), ("astronaut.jpg", 100, 1850))
"""Photographs with one, two and one faces, and the place of their upper left corners, in pixels."""
ENLARGED = 2
"""Factor by which they are enlarged, so that their faces have the size of those in a large photograph."""
NOISE = 0.06
"""Standard deviation of the noise."""


def draw_photograph(noise: float = 0.0) -> PIL.Image.Image:
    """Four faces on a background of mirrored copies of a photograph without faces, at its own resolution.

    Args:
        noise: standard deviation of white noise, for values from 0 to 1.
    """
    from skimage.data import coffee

    tile = np.asarray(coffee())
    pair = np.concatenate([tile, tile[:, ::-1]], 1)
    four = np.concatenate([pair, pair[::-1]], 0)
    repeats = -(-HEIGHT // len(four)), -(-WIDTH // four.shape[1]), 1
    canvas = PIL.Image.fromarray(np.ascontiguousarray(np.tile(four, repeats)[:HEIGHT, :WIDTH]))
    for name, left, top in FACES:
        with PIL.Image.open(EXAMPLES / name) as picture:
            size = picture.width * ENLARGED, picture.height * ENLARGED
            canvas.paste(picture.convert("RGB").resize(size, PIL.Image.Resampling.LANCZOS), (left, top))
    if not noise:
        return canvas
    levels = np.asarray(canvas, np.float32)
    levels += 255 * noise * np.random.Generator(np.random.Philox(0)).standard_normal(levels.shape, np.float32)
    return PIL.Image.fromarray(np.clip(levels + 0.5, 0, 255).astype(np.uint8))
