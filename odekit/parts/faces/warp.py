"""Aligned faces out of a photograph, and places in it back: one resampling each way, without aliasing."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.parts.faces.geometry import Frame

Border = Literal["reflect", "edge", "black"]
Patch = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels of a picture, within it."""
_PADDING = {"reflect": "reflection", "edge": "border", "black": "zeros"}
_FINE = 3
"""Where the crop is more than twice as much smaller than its frame, whole blocks are averaged before the warp."""


def cut(pixels: Pixels, frame: Frame, side: int, border: Border = "reflect") -> Pixels:
    """The frame's square as a picture (3, side, side): cubic at a whole oversampling, then area means.

    So were the faces made that the built-in prior learned from. Values are clipped to [0, 1].
    """
    height, width = pixels.shape[1:]
    x0, y0, x1, y1 = patch(frame, width, height, 4)
    region = pixels[:, y0:y1, x0:x1]
    frame = Frame(frame.a, frame.b, frame.x - x0, frame.y - y0)
    shrink = math.floor(frame.side / side / _FINE)
    if shrink > 1 and min(region.shape[1:]) >= shrink:
        region = reduced(region, shrink)
        frame = Frame(frame.a / shrink, frame.b / shrink, frame.x / shrink, frame.y / shrink)
    fine = max(1, math.ceil(frame.side / side - 0.05))
    steps = (np.arange(side * fine) + 0.5) / (side * fine)
    u, v = np.meshgrid(steps, steps)
    large = sample(region, frame.a * u - frame.b * v + frame.x, frame.b * u + frame.a * v + frame.y, border)
    small = large.reshape(3, side, fine, side, fine).mean((2, 4)) if fine > 1 else large
    return np.clip(small, 0, 1).astype(np.float32)


def reduced(pixels: Pixels, factor: int) -> Pixels:
    """Means of factor x factor blocks; what is left over at the right and at the bottom is a smaller block's mean."""
    height, width = pixels.shape[1:]
    padded = np.pad(pixels, ((0, 0), (0, -height % factor), (0, -width % factor)), mode="edge")
    shape = (3, padded.shape[1] // factor, factor, padded.shape[2] // factor, factor)
    out: Pixels = padded.reshape(shape).mean((2, 4), dtype=np.float32)
    return out


def patch(frame: Frame, width: int, height: int, margin: int = 0) -> Patch:
    """The part of a picture that a frame covers, in whole pixels; never empty."""
    x0, y0, x1, y1 = frame.box()
    left, top = (min(max(0, math.floor(v) - margin), size - 1) for v, size in ((x0, width), (y0, height)))
    right, bottom = (
        max(min(size, math.ceil(v) + margin), start + 1) for v, size, start in ((x1, width, left), (y1, height, top))
    )
    return left, top, right, bottom


def fractions(frame: Frame, where: Patch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For every pixel of a patch, where its middle lies in the crop: two (H, W) arrays of fractions of the side."""
    x0, y0, x1, y1 = where
    x, y = np.meshgrid(np.arange(x0, x1) + 0.5 - frame.x, np.arange(y0, y1) + 0.5 - frame.y)
    square = frame.side**2
    return (frame.a * x + frame.b * y) / square, (frame.a * y - frame.b * x) / square


def placed(crop: NDArray[np.float32], frame: Frame, u: Any, v: Any) -> NDArray[np.float32]:
    """A crop (C, S, S) at the places (u, v) of a photograph's pixels; area-reduced first where it is the finer one."""
    side = crop.shape[1]
    goal = max(1, round(frame.side))
    if side >= 2 * goal:
        crop = shrunk(crop, goal)
        side = crop.shape[1]
    return sample(crop, u * side, v * side, "edge")


def shrunk(crop: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A square picture (C, S, S) at a smaller side by area means, values not clipped."""
    import torch
    from torch.nn import functional

    if crop.shape[1] == side:
        return crop
    small = functional.interpolate(torch.from_numpy(np.ascontiguousarray(crop))[None], size=(side, side), mode="area")
    return np.asarray(small[0].numpy())


def sample(picture: NDArray[np.float32], x: Any, y: Any, border: Border) -> NDArray[np.float32]:
    """A picture (C, H, W) at the points (x, y), arrays (h, w); cubic (Keys 1981, a = -0.75), not clipped."""
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
