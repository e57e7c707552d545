"""Structural similarity."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.parts.metrics.base import same_size

K1, K2 = 0.01, 0.03
SIGMA, RADIUS = 1.5, 5


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
        unbiased = len(weights) ** 2 / (len(weights) ** 2 - 1) if self.options.window == "uniform" else 1.0
        return float(ssim_map(x, y, weights, unbiased).mean())

    @property
    def least_side(self) -> int:
        """Side of the window in pixels."""
        return len(self.weights())

    def weights(self) -> NDArray[np.float64]:
        """The window along one axis; the sum is 1."""
        if self.options.window == "uniform":
            return np.full(7, 1 / 7)
        bell = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
        return np.asarray(bell / bell.sum())


def ssim_map(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64], unbiased: float
) -> NDArray[np.float64]:
    """SSIM of every window inside the images x and y (C, H, W).

    Args:
        x: one image.
        y: the other.
        weights: the window along one axis; the sum is 1.
        unbiased: factor on (co)variances.
    """
    from scipy.ndimage import correlate1d

    edge = len(weights) // 2

    def average(planes: NDArray[np.float64]) -> NDArray[np.float64]:
        means = correlate1d(correlate1d(planes, weights, axis=1), weights, axis=2)
        return np.asarray(means[:, edge:-edge, edge:-edge])

    mx, my = average(x), average(y)
    vx = unbiased * (average(x * x) - mx * mx)
    vy = unbiased * (average(y * y) - my * my)
    vxy = unbiased * (average(x * y) - mx * my)
    c1, c2 = K1**2, K2**2
    return ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
