"""Crop aligned faces from a photograph and map them back: one resampling in each direction, without aliasing."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.core.threads import in_threads
from odekit.images.resize import block_means
from odekit.parts.faces.geometry import Frame

Border = Literal["reflect", "edge", "black"]
Patch = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels, inside the picture."""
BAND_ROWS = 64
"""Rows of a crop that are sampled at a time."""
_PADDING = {"reflect": "reflection", "edge": "border", "black": "zeros"}
_FINE = 3
"""If the crop is reduced by at least twice this factor, whole blocks are averaged before the warp."""


def crop_face(pixels: Pixels, frame: Frame, side: int, border: Border = "reflect") -> Pixels:
    """Crop a frame as a picture (3, side, side): cubic interpolation with integer oversampling, then area averaging.

    The training faces of the built-in prior were cropped in the same way. Values are clipped to [0, 1].
    """
    height, width = pixels.shape[1:]
    x0, y0, x1, y1 = covered_box(frame, width, height, 4)
    region = pixels[:, y0:y1, x0:x1]
    frame = Frame(frame.a, frame.b, frame.x - x0, frame.y - y0)
    shrink = math.floor(frame.side / side / _FINE)
    if shrink > 1 and min(region.shape[1:]) >= shrink:
        region = block_means(region, shrink)
        frame = Frame(frame.a / shrink, frame.b / shrink, frame.x / shrink, frame.y / shrink)
    oversampling = max(1, math.ceil(frame.side / side - 0.05))
    region = np.ascontiguousarray(region)
    centres = (np.arange(side * oversampling) + 0.5) / (side * oversampling)
    out = np.empty((3, side, side), np.float32)

    def crop_band(top: int) -> None:
        rows = min(BAND_ROWS, side - top)
        u, v = np.meshgrid(centres, centres[top * oversampling : (top + rows) * oversampling])
        large = sample(region, frame.a * u - frame.b * v + frame.x, frame.b * u + frame.a * v + frame.y, border)
        small = large.reshape(3, rows, oversampling, side, oversampling).mean((2, 4)) if oversampling > 1 else large
        out[:, top : top + rows] = np.clip(small, 0, 1)

    in_threads(crop_band, range(0, side, BAND_ROWS))
    return out


def covered_box(frame: Frame, width: int, height: int, margin: int = 0) -> Patch:
    """The part of a picture covered by a frame, in whole pixels, enlarged by `margin`; never empty."""
    x0, y0, x1, y1 = frame.box()
    left, top = (min(max(0, math.floor(v) - margin), size - 1) for v, size in ((x0, width), (y0, height)))
    right, bottom = (
        max(min(size, math.ceil(v) + margin), start + 1) for v, size, start in ((x1, width, left), (y1, height, top))
    )
    return left, top, right, bottom


def crop_coordinates(frame: Frame, where: Patch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Map the pixel centres of a patch to the crop: two (H, W) arrays of fractions of its side."""
    x0, y0, x1, y1 = where
    x, y = np.meshgrid(np.arange(x0, x1) + 0.5 - frame.x, np.arange(y0, y1) + 0.5 - frame.y)
    square = frame.side**2
    return (frame.a * x + frame.b * y) / square, (frame.a * y - frame.b * x) / square


def sample_crop(crop: NDArray[np.float32], frame: Frame, u: Any, v: Any) -> NDArray[np.float32]:
    """Sample a crop (C, S, S) at fractions (u, v); it is first reduced by area averaging if it is much finer.

    `frame` gives the resolution of the photograph.
    """
    side = crop.shape[1]
    target = max(1, round(frame.side))
    if side >= 2 * target:
        crop = reduce_square(crop, target)
        side = crop.shape[1]
    return sample(crop, u * side, v * side, "edge")


def reduce_square(crop: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Reduce a square picture (C, S, S) to a smaller side by area averaging; values are not clipped."""
    import torch
    from torch.nn import functional

    if crop.shape[1] == side:
        return crop
    small = functional.interpolate(torch.from_numpy(np.ascontiguousarray(crop))[None], size=(side, side), mode="area")
    return np.asarray(small[0].numpy())


def sample(picture: NDArray[np.float32], x: Any, y: Any, border: Border) -> NDArray[np.float32]:
    """Sample a picture (C, H, W) at points (x, y) in pixels, arrays (h, w).

    Cubic convolution (Keys 1981, a = -0.75); values are not clipped.
    """
    import torch
    from torch.nn.functional import grid_sample

    height, width = picture.shape[1:]
    grid = np.stack([2 * np.asarray(x) / width - 1, 2 * np.asarray(y) / height - 1], -1).astype(np.float32)
    with torch.inference_mode():
        out = grid_sample(
            torch.from_numpy(np.ascontiguousarray(picture))[None],
            torch.from_numpy(grid)[None],
            "bicubic",
            _PADDING[border],
            align_corners=False,
        )
    return np.asarray(out[0].numpy())
