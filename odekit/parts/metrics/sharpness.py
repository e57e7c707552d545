"""Sharpness: gradient energy of a restored picture relative to the reference."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.images.colour import LUMA_WEIGHTS
from odekit.parts.metrics.base import same_size


class Sharpness(Options):
    """The metric `sharpness` has no options."""

    part = "sharpness"


class SharpnessMetric:
    """Mean gradient energy of the restored picture over that of the reference.

    1 is as sharp as the reference, 0 is flat; above 1 there is noise or false edges. The best value is 1.
    """

    lower_is_better = False
    best: ClassVar[float] = 1.0
    label: ClassVar[str] = "sharpness"
    least_side: ClassVar[int] = 2
    light: ClassVar[bool] = True

    def __init__(self, options: Sharpness | None = None, tools: Tools | None = None) -> None:
        self.options = options or Sharpness()

    def measure(self, restored: Image, reference: Image) -> float:
        """The ratio; NaN if the reference is flat or one pixel wide. Raises InputError if the sizes differ."""
        a, b = same_size(restored, reference)
        if min(a.shape[1:]) < 2:
            return math.nan
        reference_energy = gradient_energy(b)
        return gradient_energy(a) / reference_energy if reference_energy > 0 else math.nan


def gradient_energy(pixels: NDArray[np.float64]) -> float:
    """Mean squared difference of neighbouring luma values of (3, H, W), vertical plus horizontal."""
    luma = np.tensordot(LUMA_WEIGHTS, pixels, 1)
    return float(np.mean(np.diff(luma, axis=0) ** 2) + np.mean(np.diff(luma, axis=1) ** 2))
