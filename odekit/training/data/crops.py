"""Undamaged crops of faces and photographs at random scales and in random light: targets of scratch inpainting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.images.colour import LUMA_WEIGHTS
from odekit.training.data import straight_things
from odekit.training.data.dead_leaves import dead_leaves
from odekit.training.options.scratches import ScratchOptions

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""
LUMA_WEIGHTS = LUMA_WEIGHTS.astype(np.float32)
"""Luma weights, float32."""


def random_crop(picture: Picture, size: int, rng: np.random.Generator, options: ScratchOptions) -> NDArray[np.float32]:
    """A random crop, rescaled, rotated, mirrored and relit, or shapes of its colours: (size, size, 3) in [0, 1]."""
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
    content = np.asarray(crop)
    if rng.random() < options.leaves:
        content = dead_leaves(size, rng, content)
    rotated = np.rot90(content, int(rng.integers(4)))
    relit = random_light(rotated[:, ::-1] if rng.random() < 0.5 else rotated, rng)
    if rng.random() < options.drawn:
        relit = straight_things.draw_straight_things(relit, rng)
    return colourless(relit, rng) if rng.random() < options.colourless else relit


def colourless(picture: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A grey picture, or (two of three) one with the tone of an old print: R, G and B are powers of the luma."""
    luma = np.clip(picture @ LUMA_WEIGHTS, 0, 1)[..., None]
    if rng.random() < 1 / 3:
        return np.repeat(luma, 3, axis=2)
    warm = rng.normal(0.2, 0.2)
    exponents = np.exp(np.array([-warm, 0, warm]) + rng.normal(0, 0.05, 3)).astype(np.float32)
    fade = np.float32(rng.uniform(0, 0.15))
    toned: NDArray[np.float32] = (fade + (1 - 1.5 * fade) * luma**exponents).astype(np.float32)
    return toned


def random_light(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Random gamma, contrast and colour cast."""
    out = picture.astype(np.float32) / 255 * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    out = np.clip(out, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.2)))
    contrast = np.float32(np.exp(rng.normal(-0.05, 0.2)))
    return np.clip((out - 0.5) * contrast + np.float32(0.5 + rng.normal(0, 0.05)), 0, 1)


def large_enough(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures whose shorter side has at least 128 pixels."""
    return [picture for picture in pictures if min(picture.shape[:2]) >= 128]
