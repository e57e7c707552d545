"""Detect JPEG blocks in whole photographs from their borders."""

from __future__ import annotations

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
BAND = 1 << 18
"""Values that are measured at once: 1 MB, where the steps of 12 megapixels take 48 MB in either direction."""
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
    y = luma(pixels)
    if min(y.shape) <= 2 * BLOCK:
        return BlockMeasurement(1.0, (0, 0))
    (down, row), (across, column) = in_threads(_along, (y.T, y))
    return BlockMeasurement((down + across) / 2, (row, column))


def _along(plane: Plane) -> tuple[float, int]:
    """The strength along the second axis, and the offset of the blocks."""
    rows = max(1, BAND // plane.shape[1])
    bands = [plane[i : i + rows] for i in range(0, len(plane), rows)]
    mean = np.sum([_steps(band).sum(0, dtype=np.float64) for band in bands], axis=0) / len(plane)
    count = len(mean) // BLOCK
    profile = mean[: count * BLOCK].reshape(count, BLOCK).mean(0)
    border = int(profile.argmax())
    ratio = float(profile[border] / max(float(np.delete(profile, border).mean()), 1e-4))
    start = (border - BLOCK // 2) % BLOCK
    count = (len(mean) - start) // BLOCK
    highest = 0
    for band in bands:
        windows = _steps(band[:, start : start + count * BLOCK + 1]).reshape(len(band), count, BLOCK)
        neighbours = np.maximum(windows[..., : BLOCK // 2].max(2), windows[..., BLOCK // 2 + 1 :].max(2))
        highest += int(np.count_nonzero(windows[..., BLOCK // 2] > neighbours + MIN_STEP_EXCESS))
    return ratio * (highest / (len(plane) * count)) * BLOCK, (border + 1) % BLOCK


def _steps(band: Plane) -> Plane:
    """Absolute differences along the second axis."""
    steps = np.diff(band, axis=1)
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
