"""Pictures that `restore` reads and keeps beside its results: masks, latents, maps and originals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from odekit.core.image import Image, Metadata
from odekit.images.resize import area_resize_image

if TYPE_CHECKING:
    from torch import Tensor


def latent_picture(image: Image, x: Tensor) -> Image:
    """A latent as a picture: 0 is mid grey, -3 and 3 (standard deviations of N(0, 1)) are black and white."""
    pixels = (0.5 + x.detach().cpu() / 6).clamp(0, 1).float().numpy()
    return replace(image, pixels=pixels, alpha=None, meta=Metadata(path=image.meta.path))


def map_picture(image: Image, values: Tensor) -> Image:
    """Values (3, H, W) in [0, 1] as a picture."""
    pixels = values.detach().cpu().clamp(0, 1).float().numpy()
    return replace(image, pixels=pixels, alpha=None, meta=Metadata(path=image.meta.path))


def read_mask(path: str, height: int, width: int) -> Tensor:
    """Read a mask picture as float64 (1, 1, H, W) of zeros and ones, resized to H x W."""
    import torch

    from odekit.images.io import read

    image = area_resize_image(read(Path(path)), height, width)
    return torch.from_numpy((image.pixels.mean(axis=0) > 0.5).astype("float64"))[None, None]


def with_colours_of(original: Image, before: Image, after: Image) -> Image:
    """An original with the correction of its colours that was made at the prior's size: plus `up(after - before)`."""
    change = [
        np.asarray(PIL.Image.fromarray(plane).resize((original.width, original.height), PIL.Image.Resampling.BILINEAR))
        for plane in after.pixels - before.pixels
    ]
    return original.with_pixels(np.clip(original.pixels + np.stack(change), 0, 1).astype(np.float32))
