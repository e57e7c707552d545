"""Structural similarity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.parts.metrics.base import same_size

K1, K2 = 0.01, 0.03
SIGMA, REACH = 1.5, 5


class Ssim(Options):
    """Options of the metric `ssim`."""

    part = "ssim"
    window: Literal["uniform", "gaussian"] = "uniform"
    """`uniform`: 7 x 7 pixels of equal weight, unbiased (co)variances, as in scikit-image's default. `gaussian`:
    11 x 11 pixels, standard deviation 1.5, biased, as in the paper."""


class SsimMetric:
    """SSIM of Wang et al. 2004 (doi:10.1109/TIP.2003.819861), eq. 13, K1 = 0.01, K2 = 0.03, peak 1.

    The mean over all windows inside the picture, and over the three channels.
    """

    lower_is_better = False
    label: ClassVar[str] = "SSIM"
    light: ClassVar[bool] = True

    def __init__(self, options: Ssim | None = None, tools: Tools | None = None) -> None:
        self.options = options or Ssim()

    def measure(self, restored: Image, reference: Image) -> float:
        """SSIM, at most 1; NaN if the picture is smaller than the window. Raises InputError if the sizes differ."""
        x, y = same_size(restored, reference)
        weights = self.weights()
        if min(x.shape[1:]) < len(weights):
            return math.nan
        return float(similarity(x, y, self._averager(weights), self._unbiased(weights)).mean())

    @property
    def least_side(self) -> int:
        """Side of the window in pixels."""
        return len(self.weights())

    def weights(self) -> NDArray[np.float64]:
        """The window along one axis; the sum is 1."""
        if self.options.window == "uniform":
            return np.full(7, 1 / 7)
        bell = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / SIGMA) ** 2)
        return np.asarray(bell / bell.sum())

    def _unbiased(self, weights: NDArray[np.float64]) -> float:
        count = len(weights) ** 2
        return count / (count - 1) if self.options.window == "uniform" else 1.0

    @staticmethod
    def _averager(weights: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        return lambda planes: slide(slide(planes, weights, 1), weights, 2)


def similarity(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    average: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    unbiased: float,
) -> NDArray[np.float64]:
    """SSIM of every window of x and y (C, H, W).

    Args:
        x: one picture.
        y: the other.
        average: weighted means over all windows.
        unbiased: factor on (co)variances.
    """
    mx, my = average(x), average(y)
    vx = unbiased * (average(x * x) - mx * mx)
    vy = unbiased * (average(y * y) - my * my)
    vxy = unbiased * (average(x * y) - mx * my)
    c1, c2 = K1**2, K2**2
    return ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))


def slide(planes: NDArray[np.float64], weights: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Correlation of planes with weights along an axis, without padding."""
    count = planes.shape[axis] - len(weights) + 1
    index = [slice(None)] * planes.ndim
    out = np.zeros([count if i == axis else n for i, n in enumerate(planes.shape)])
    for start, weight in enumerate(weights):
        index[axis] = slice(start, start + count)
        out += weight * planes[tuple(index)]
    return out
