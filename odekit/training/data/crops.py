"""Undamaged crops of faces and photographs at random scales and in random light: targets of scratch inpainting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from odekit.images.colour import LUMA_WEIGHTS
from odekit.training.options.scratches import ScratchOptions

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""
LUMA_WEIGHTS = LUMA_WEIGHTS.astype(np.float32)
"""Luma weights, float32."""
TEXT = "The quick brown fox jumps over the lazy dog 0123456789 AEFHIKLMNTVWXYZ"


def random_crop(picture: Picture, size: int, rng: np.random.Generator, options: ScratchOptions) -> NDArray[np.float32]:
    """A random crop, rescaled, rotated, mirrored and relit: (size, size, 3) in [0, 1]."""
    height, width = picture.shape[:2]
    short = min(height, width)
    enlarge = rng.random() < 1 / 6
    scale = rng.uniform(1, 2) if enlarge else np.exp(rng.uniform(np.log(options.smallest), 0))
    window = min(float(short), size / scale)
    if rng.random() < options.exact:
        window = float(min(short, size))
    x, y = rng.uniform(0, width - window), rng.uniform(0, height - window)
    if window == size:
        x, y = round(x), round(y)  # whole pixels: no resampling
    filters = (PIL.Image.Resampling.BICUBIC, PIL.Image.Resampling.LANCZOS, PIL.Image.Resampling.BOX)
    filter_ = filters[0 if enlarge else int(rng.integers(3))]
    crop = PIL.Image.fromarray(picture).resize((size, size), filter_, (x, y, x + window, y + window))
    if rng.random() < options.drawn:
        draw_distractors(crop, rng)
    rotated = np.rot90(np.asarray(crop), int(rng.integers(4)))
    return random_light(rotated[:, ::-1] if rng.random() < 0.5 else rotated, rng, options.colourless)


def random_light(picture: NDArray[np.uint8], rng: np.random.Generator, colourless: float) -> NDArray[np.float32]:
    """Random gamma, contrast and colour cast; a share `colourless` becomes grey, and half of these are toned."""
    out = picture.astype(np.float32) / 255
    grey = rng.random() < colourless
    if grey:
        out = np.repeat((out @ LUMA_WEIGHTS)[..., None], 3, axis=2)
    if not grey or rng.random() < 0.5:
        out = out * np.exp(rng.normal(0, 0.06 + 0.1 * grey, 3)).astype(np.float32)
    out = np.clip(out, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.2)))
    contrast = np.float32(np.exp(rng.normal(-0.05, 0.2)))
    return np.clip((out - 0.5) * contrast + np.float32(0.5 + rng.normal(0, 0.05)), 0, 1)


def draw_distractors(picture: PIL.Image.Image, rng: np.random.Generator) -> None:
    """Draw letters, parallel bars or filled polygons: hard edges and thin lines that are not scratches."""
    import PIL.ImageFont

    draw, size = PIL.ImageDraw.Draw(picture), picture.width
    kind = rng.random()
    ink = tuple(int(v) for v in rng.integers(0, 256, 3))
    if kind < 0.45:
        font = PIL.ImageFont.load_default(float(rng.uniform(8, 40)))
        start = int(rng.integers(len(TEXT) - 12))
        draw.text(tuple(rng.uniform(-10, size * 0.6, 2)), TEXT[start : start + 12], fill=ink, font=font)
    elif kind < 0.7:
        pitch, width = rng.uniform(4, 16), int(rng.integers(1, 5))
        y0, y1 = np.sort(rng.uniform(-5, size + 5, 2))
        x, slant = rng.uniform(0, size / 2), rng.uniform(-20, 20)
        for i in range(int(rng.integers(3, 10))):
            draw.line([(x + i * pitch, y0), (x + i * pitch + slant, y1)], fill=ink, width=width)
    else:
        for _ in range(int(rng.integers(1, 4))):
            corners = rng.uniform(-0.2, 1.2, (int(rng.integers(3, 6)), 2)) * size
            shade = tuple(int(v) for v in rng.integers(0, 256, 3))
            draw.polygon([(float(px), float(py)) for px, py in corners], fill=shade)


def large_enough(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures whose shorter side has at least 128 pixels."""
    return [picture for picture in pictures if min(picture.shape[:2]) >= 128]
