"""Resizing of images: with Pillow in float32, and area means by integer factors."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.core.threads import in_threads

BAND_ROWS = 256
"""Rows of a large picture that are averaged at a time, about."""
Filter = Literal["lanczos", "bicubic", "box"]


def resized(image: Image, height: int, width: int, filter: Filter) -> Image:
    """Resize an image and its alpha channel; values are clipped to [0, 1]."""
    planes = [resample(plane, height, width, filter) for plane in image.pixels]
    alpha = None if image.alpha is None else resample(image.alpha, height, width, filter)
    return replace(image, pixels=np.stack(planes), alpha=alpha)


def resample(plane: NDArray[np.float32], height: int, width: int, filter: Filter) -> NDArray[np.float32]:
    """Resize one float32 plane (H, W); values are clipped to [0, 1]."""
    method = {
        "lanczos": PIL.Image.Resampling.LANCZOS,
        "bicubic": PIL.Image.Resampling.BICUBIC,
        "box": PIL.Image.Resampling.BOX,
    }[filter]
    out = np.asarray(PIL.Image.fromarray(plane).resize((width, height), method), dtype=np.float32)
    return np.clip(out, 0.0, 1.0).astype(np.float32)


def square_resize(planes: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Planes (C, H, W) in [0, 1] at side x side: the mean over each new pixel's area if both shrink, else bicubic."""
    if planes.shape[1:] == (side, side):
        return planes
    filter: Filter = "box" if min(planes.shape[1:]) >= side else "bicubic"
    return np.stack([resample(plane, side, side, filter) for plane in planes])


def area_resize_image(image: Image, height: int, width: int) -> Image:
    """Resize an image: by the mean over the area of each new pixel if neither side grows, else bicubic."""
    if (height, width) == (image.height, image.width):
        return image
    shrinks = height <= image.height and width <= image.width
    return resized(image, height, width, "box" if shrinks else "bicubic")


def block_means(pixels: Pixels, factor: int) -> Pixels:
    """Average factor x factor blocks of (3, H, W). Incomplete blocks at the right and bottom repeat the last pixel."""
    height, width = pixels.shape[1:]
    out = np.empty((3, -(-height // factor), -(-width // factor)), np.float32)

    def reduce_band(row: int) -> None:
        band = pixels[:, row * factor : (row + rows) * factor]
        if band.shape[1] % factor or width % factor:
            band = np.pad(band, ((0, 0), (0, -band.shape[1] % factor), (0, -width % factor)), mode="edge")
        shape = (3, band.shape[1] // factor, factor, band.shape[2] // factor, factor)
        out[:, row : row + rows] = band.reshape(shape).mean((2, 4), dtype=np.float32)

    rows = max(1, BAND_ROWS // factor)
    in_threads(reduce_band, range(0, out.shape[1], rows))
    return out


def enlarge_blocks(planes: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Planes (C, h, w) of a picture that `block_means` reduced, at its size, by linear interpolation."""
    factor = -(-height // planes.shape[1])
    size = (planes.shape[2] * factor, planes.shape[1] * factor)
    large = [np.asarray(PIL.Image.fromarray(p).resize(size, PIL.Image.Resampling.BILINEAR)) for p in planes]
    return np.stack([plane[:height, :width] for plane in large])


def square_block_means(pictures: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Reduce square pictures (N, S, S, 3) to `side` pixels, a divisor of S, by the means of blocks of pixels."""
    count, factor = len(pictures), pictures.shape[1] // side
    blocks = pictures.reshape(count, side, factor, side, factor, 3)
    out: NDArray[np.float64] = blocks.mean((2, 4), dtype=np.float64)
    return out
