"""Signs of damage in a whole photograph: JPEG blocks by their borders, scratches by what the network marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.errors import PluginError
from odekit.images.colour import luma

BLOCK = 8
HIGHER = 1 / 512
"""A step at a border counts where it is higher than the others by half a level."""
LINE, DIRECTIONS = 41, 32
"""Pixels along which a scratch is straight enough, and directions that are tried."""
FAINT = 0.2
LONG = 0.15
"""Runs shorter than this part of the photograph's shorter side are no scratches."""
SLENDER = 12
"""Nor are runs less than so many times as long as they are wide: the light between two legs, a gap between boards."""


@dataclass(frozen=True)
class Blocks:
    """What is seen of JPEG's blocks."""

    strength: float
    """1 without a trace; the ten photographs we test with, saved as web sites do, have 0.6 to 2.1."""
    origin: tuple[int, int]
    """Row and column, 0 to 7, at which blocks begin."""


def blocks(pixels: Pixels) -> Blocks:
    """How blocky a photograph (3, H, W) in [0, 1] is.

    JPEG leaves steps at every eighth pixel, from some offset on. The product of two figures, as the mean over both
    axes: the mean step there over the mean of the others; and how often that step is the highest of eight neighbours,
    times eight. The first is large for few strong blocks, the second for many weak ones.
    """
    y = luma(pixels)
    if min(y.shape) <= 2 * BLOCK:
        return Blocks(1.0, (0, 0))
    (down, row), (across, column) = _along(y.T), _along(y)
    return Blocks((down + across) / 2, (row, column))


def _along(plane: NDArray[np.float32]) -> tuple[float, int]:
    """The product for the steps along the second axis, and where blocks begin."""
    steps = np.abs(np.diff(plane, axis=1))
    count = steps.shape[1] // BLOCK
    profile = steps[:, : count * BLOCK].mean(0).reshape(count, BLOCK).mean(0)
    at = int(profile.argmax())
    ratio = float(profile[at] / max(float(np.delete(profile, at).mean()), 1e-4))
    start = (at - BLOCK // 2) % BLOCK
    here = (steps.shape[1] - start) // BLOCK
    windows = steps[:, start : start + here * BLOCK].reshape(len(steps), here, BLOCK)
    rest = np.maximum(windows[..., : BLOCK // 2].max(2), windows[..., BLOCK // 2 + 1 :].max(2))
    often = float((windows[..., BLOCK // 2] > rest + HIGHER).mean())
    return ratio * often * BLOCK, (at + 1) % BLOCK


@dataclass(frozen=True)
class Scratches:
    """What is taken for scratches."""

    mask: NDArray[np.bool_]
    """(H, W)."""
    length: float
    """Of all together, over the shorter side of the photograph."""
    count: int


def scratches(seen: NDArray[np.float32], straight: NDArray[np.float32], sure: float, peak: float = 0) -> Scratches:
    """Long thin runs of pixels that the network takes for scratched (H, W, 0 to 1).

    `straight` as `along_lines` says. A pixel counts from `FAINT` up where the mean along the best line through it is at
    least `sure`: edges of things that look a little scratched here and there do not reach it, faint scratches do. A run
    counts where that mean is at least `peak` somewhere along it: pipes and steps, fairly sure all along, do not.

    Raises:
        PluginError: scipy is not installed.
    """
    label, find_objects = tools()
    labels, _ = label((seen > FAINT) & (straight >= sure), structure=np.ones((3, 3), bool))
    side = min(seen.shape)
    kept = {}
    for number, (rows, columns) in enumerate(find_objects(labels), 1):
        length = float(np.hypot(rows.stop - rows.start, columns.stop - columns.start))
        if length < LONG * side:
            continue
        run = labels[rows, columns] == number
        if length >= SLENDER * width(run) and straight[rows, columns][run].max() >= peak:
            kept[number] = length
    mask: NDArray[np.bool_] = np.isin(labels, list(kept))
    return Scratches(mask, sum(kept.values()) / side, len(kept))


def width(run: NDArray[np.bool_]) -> float:
    """How wide a run is on average: the pixels of a strip of w are (w + 2) / 4 from its border in the mean.

    So are those of two strips that cross, whose area would tell of one that is wide.
    """
    from scipy.ndimage import distance_transform_edt

    inside = distance_transform_edt(np.pad(run, 1))[1:-1, 1:-1]
    return 4 * float(inside[run].mean()) - 2


def along_lines(seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """For every pixel of (H, W) the mean along a line of `LINE` pixels through it, in the direction of the largest.

    It is taken of the larger values of 2 x 2 pixels: a line need not be met to the pixel, for a sixteenth of the work.
    """
    import torch
    from torch.nn import functional

    reach = LINE // 4
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    turns = np.pi * np.arange(DIRECTIONS, dtype=np.float32)[:, None, None] / DIRECTIONS
    along, beside = x * np.cos(turns) + y * np.sin(turns), y * np.cos(turns) - x * np.sin(turns)
    lines = ((np.abs(beside) <= 0.5) & (np.abs(along) <= reach)).astype(np.float32)
    lines /= lines.sum((1, 2), keepdims=True)
    with torch.inference_mode():
        half = functional.max_pool2d(torch.from_numpy(seen)[None, None], 2, ceil_mode=True)
        kernels = torch.from_numpy(lines)[:, None]
        means = functional.conv2d(half, kernels, padding=reach)
        means /= functional.conv2d(torch.ones_like(half), kernels, padding=reach)  # of what lies in the picture
        best: NDArray[np.float32] = means[0].amax(0).numpy()
    return best.repeat(2, 0).repeat(2, 1)[: seen.shape[0], : seen.shape[1]]


def tools() -> tuple[Any, Any]:
    """scipy's `label` and `find_objects`.

    Raises:
        PluginError: it is not installed.
    """
    try:
        import cv2  # noqa: F401
        from scipy.ndimage import find_objects, label
    except ImportError as error:
        raise PluginError(
            f"the stage 'mend' needs OpenCV and scipy for scratches ({error}); pip install 'odekit[photos]', or set "
            "mend.scratches=false"
        ) from error
    return label, find_objects
