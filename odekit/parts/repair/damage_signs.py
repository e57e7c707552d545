"""Detect damage in whole photographs: JPEG blocks from their borders, scratches from the network's probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.errors import PluginError
from odekit.images.colour import luma

BLOCK = 8
MIN_STEP_EXCESS = 1 / 512
"""A step at a block border counts if it exceeds its neighbours by half an 8-bit level."""
LINE_LENGTH, DIRECTIONS = 41, 32
"""Length in pixels over which a scratch is assumed to be straight, and number of directions tested."""
MIN_PROBABILITY = 0.2
"""Smallest probability of a scratched pixel."""
MIN_LENGTH = 0.15
"""Shortest length of a scratch, as a fraction of the photograph's shorter side."""
MIN_ASPECT_RATIO = 12
"""Smallest ratio of length to width of a scratch; excludes the light between two legs or a gap between boards."""


@dataclass(frozen=True)
class BlockMeasurement:
    """Visibility and position of JPEG blocks."""

    strength: float
    """1 without visible blocks; our ten test photographs, saved as on web sites, have 0.6 to 2.1."""
    origin: tuple[int, int]
    """Row and column, 0 to 7, of the first block's corner."""


def measure_blocks(pixels: Pixels) -> BlockMeasurement:
    """Measure the visibility of JPEG blocks in a photograph (3, H, W) in [0, 1].

    JPEG leaves steps at every eighth pixel, with an unknown offset. The strength is a product of two factors, as the
    mean over both axes: the mean step at block borders over the mean of the other steps; and eight times the frequency
    with which the step at a border is the highest of eight neighbours. The first is large for a few strong blocks, the
    second for many weak ones.
    """
    y = luma(pixels)
    if min(y.shape) <= 2 * BLOCK:
        return BlockMeasurement(1.0, (0, 0))
    (down, row), (across, column) = _along(y.T), _along(y)
    return BlockMeasurement((down + across) / 2, (row, column))


def _along(plane: NDArray[np.float32]) -> tuple[float, int]:
    """The strength along the second axis, and the offset of the blocks."""
    steps = np.abs(np.diff(plane, axis=1))
    count = steps.shape[1] // BLOCK
    profile = steps[:, : count * BLOCK].mean(0).reshape(count, BLOCK).mean(0)
    border = int(profile.argmax())
    ratio = float(profile[border] / max(float(np.delete(profile, border).mean()), 1e-4))
    start = (border - BLOCK // 2) % BLOCK
    count = (steps.shape[1] - start) // BLOCK
    windows = steps[:, start : start + count * BLOCK].reshape(len(steps), count, BLOCK)
    neighbours = np.maximum(windows[..., : BLOCK // 2].max(2), windows[..., BLOCK // 2 + 1 :].max(2))
    frequency = float((windows[..., BLOCK // 2] > neighbours + MIN_STEP_EXCESS).mean())
    return ratio * frequency * BLOCK, (border + 1) % BLOCK


@dataclass(frozen=True)
class DetectedScratches:
    """Detected scratches."""

    mask: NDArray[np.bool_]
    """(H, W)."""
    length: float
    """Total length, over the shorter side of the photograph."""
    count: int


def detect_scratches(
    probability: NDArray[np.float32], straight: NDArray[np.float32], sure: float, peak: float = 0
) -> DetectedScratches:
    """Detect long thin connected components of scratched pixels.

    Args:
        probability: (H, W), the network's probability of "scratched".
        straight: (H, W), `best_line_means(probability)`.
        sure: a pixel of probability `MIN_PROBABILITY` or more belongs to a scratch if its mean along the best line is
            at least this. Faint scratches reach it; edges of objects with scattered responses do not.
        peak: a component is a scratch if that mean reaches this value somewhere. Pipes and stairs, with an even medium
            response, do not.

    Raises:
        PluginError: scipy is not installed.
    """
    label, find_objects = import_ndimage()
    labels, _ = label((probability > MIN_PROBABILITY) & (straight >= sure), structure=np.ones((3, 3), bool))
    side = min(probability.shape)
    kept = {}
    for number, (rows, columns) in enumerate(find_objects(labels), 1):
        length = float(np.hypot(rows.stop - rows.start, columns.stop - columns.start))
        if length < MIN_LENGTH * side:
            continue
        component = labels[rows, columns] == number
        if length >= MIN_ASPECT_RATIO * mean_width(component) and straight[rows, columns][component].max() >= peak:
            kept[number] = length
    mask: NDArray[np.bool_] = np.isin(labels, list(kept))
    return DetectedScratches(mask, sum(kept.values()) / side, len(kept))


def mean_width(component: NDArray[np.bool_]) -> float:
    """Mean width of a component, from the mean distance of its pixels to its border.

    That distance is (w + 2) / 4 for a strip of width w. It holds for two crossing strips too, where area over length
    would overestimate the width.
    """
    from scipy.ndimage import distance_transform_edt

    distance = distance_transform_edt(np.pad(component, 1))[1:-1, 1:-1]
    return 4 * float(distance[component].mean()) - 2


def best_line_means(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """For every pixel of (H, W), the largest mean over the lines of `LINE_LENGTH` pixels through it.

    It is computed on the maxima of 2 x 2 pixels: this tolerates a displacement by one pixel and costs a sixteenth.
    """
    import torch
    from torch.nn import functional

    reach = LINE_LENGTH // 4
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    angles = np.pi * np.arange(DIRECTIONS, dtype=np.float32)[:, None, None] / DIRECTIONS
    along, across = x * np.cos(angles) + y * np.sin(angles), y * np.cos(angles) - x * np.sin(angles)
    lines = ((np.abs(across) <= 0.5) & (np.abs(along) <= reach)).astype(np.float32)
    lines /= lines.sum((1, 2), keepdims=True)
    with torch.inference_mode():
        half = functional.max_pool2d(torch.from_numpy(probability)[None, None], 2, ceil_mode=True)
        kernels = torch.from_numpy(lines)[:, None]
        means = functional.conv2d(half, kernels, padding=reach)
        means /= functional.conv2d(
            torch.ones_like(half), kernels, padding=reach
        )  # only pixels inside the picture count
        best: NDArray[np.float32] = means[0].amax(0).numpy()
    return best.repeat(2, 0).repeat(2, 1)[: probability.shape[0], : probability.shape[1]]


def import_ndimage() -> tuple[Any, Any]:
    """scipy's `label` and `find_objects`.

    Raises:
        PluginError: OpenCV or scipy is not installed.
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
