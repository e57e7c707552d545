"""Detect JPEG blocks in whole photographs from their borders."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.core.threads import in_threads
from odekit.errors import PluginError
from odekit.images.colour import luma

BLOCK = 8
Plane = NDArray[np.float32]
BAND = 1 << 17
"""Pixels that are measured at once: luma and steps of 12 megapixels would take 48 MB each, in either direction."""
MIN_STEP_EXCESS = 1 / 512
"""A step at a block border counts if it exceeds its neighbours by half an 8-bit level."""


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
    if min(pixels.shape[1:]) <= 2 * BLOCK:
        return BlockMeasurement(1.0, (0, 0))
    down, across = (_grid(profile) for profile in _mean_steps(pixels))
    counts = in_threads(lambda top: _highest(pixels, top, down.start, across.start), _tops(pixels, down.start))
    highest = np.sum(counts, axis=0)
    strengths = [
        grid.ratio * (count / (grid.count * side)) * BLOCK
        for grid, count, side in zip((down, across), highest, (pixels.shape[2], pixels.shape[1]), strict=True)
    ]
    return BlockMeasurement(float(np.mean(strengths)), (down.origin, across.origin))


@dataclass(frozen=True)
class _Grid:
    """Where blocks seem to lie along an axis."""

    ratio: float
    """Mean step at block borders over the mean of the other steps."""
    start: int
    """First of the steps that are taken in groups of eight, with that at the border fifth."""
    count: int
    """Such groups."""
    origin: int


def _grid(mean: NDArray[np.float64]) -> _Grid:
    """From the mean step at each place along an axis."""
    count = len(mean) // BLOCK
    profile = mean[: count * BLOCK].reshape(count, BLOCK).mean(0)
    border = int(profile.argmax())
    ratio = float(profile[border] / max(float(np.delete(profile, border).mean()), 1e-4))
    start = (border - BLOCK // 2) % BLOCK
    return _Grid(ratio, start, (len(mean) - start) // BLOCK, (border + 1) % BLOCK)


def _mean_steps(pixels: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean absolute step of the luma at each row, downwards, and at each column, across."""

    def of_band(top: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        y, rows = _luma_rows(pixels, top, 0)
        return _steps(y, 0).sum(1, dtype=np.float64), _steps(y[:rows], 1).sum(0, dtype=np.float64)

    parts = in_threads(of_band, _tops(pixels, 0))
    height, width = pixels.shape[1:]
    return np.concatenate([down for down, _ in parts]) / width, np.sum([across for _, across in parts], axis=0) / height


def _highest(pixels: Pixels, top: int, down: int, across: int) -> tuple[int, int]:
    """How often the step at a border is the highest of eight, downwards and across, in the band from row `top`.

    `down` and `across`: the first steps that are taken in groups, see `_Grid.start`.
    """
    y, rows = _luma_rows(pixels, top, down)
    groups = (len(y) - 1) // BLOCK if top >= down else 0
    return _count(_steps(y[: groups * BLOCK + 1], 0)), _count(_steps(y[:rows, across:], 1).T)


def _count(steps: Plane) -> int:
    """Number of groups of eight steps along the first axis whose fifth is higher than all others."""
    whole = len(steps) // BLOCK * BLOCK
    border, *others = (steps[i % BLOCK : whole : BLOCK] for i in range(BLOCK // 2, BLOCK // 2 + BLOCK))
    neighbours = functools.reduce(np.maximum, others)
    return int(np.count_nonzero(border > neighbours + MIN_STEP_EXCESS))


def _tops(pixels: Pixels, start: int) -> list[int]:
    """First rows of the bands: whole groups of eight rows from `start`, and the rows before it."""
    return ([0] if start else []) + list(range(start, pixels.shape[1], _band_rows(pixels)))


def _band_rows(pixels: Pixels) -> int:
    """Rows of a band, a multiple of eight."""
    columns: int = pixels.shape[2]
    return max(1, BAND // columns // BLOCK) * BLOCK


def _luma_rows(pixels: Pixels, top: int, start: int) -> tuple[Plane, int]:
    """The luma of the band from row `top` and of the row below it, and the rows of the band."""
    rows = min(start - top if top < start else _band_rows(pixels), pixels.shape[1] - top)
    return luma(pixels[:, top : top + rows + 1]), rows


def _steps(y: Plane, axis: int) -> Plane:
    """Absolute differences along an axis."""
    steps = np.diff(y, axis=axis)
    return np.abs(steps, out=steps)


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
