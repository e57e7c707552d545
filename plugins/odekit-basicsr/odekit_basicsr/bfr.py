"""The training degradation of blind face restoration: `y = [(x * k) down s + n] JPEG q`, resized to the size of x.

Wang et al., GFP-GAN (CVPR 2021, arXiv:2101.04061), eq. 6, after Li et al. (ECCV 2020, arXiv:2008.00418). basicsr
computes the kernels. This module draws all random parameters from the generator of the image, because basicsr uses the
global generators of the process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from odekit.plugins import Image
from odekit_basicsr.library import module
from odekit_basicsr.options import Bfr, Pair

Pixels = NDArray[np.float32]
"""float32 (H, W, 3), BGR in [0, 1], the format of basicsr."""


@dataclass(frozen=True)
class DegradationParameters:
    """Random parameters of one image, without the noise."""

    kernel: str
    sigma: Pair
    """Standard deviations along and across the kernel, in pixels."""
    angle: float
    """Rotation of the kernel, in radians."""
    beta: float
    """Exponent of generalised and plateau kernels."""
    factor: float
    """Downsampling factor."""
    noise: float
    """Standard deviation in levels of 255."""
    quality: int
    shift: tuple[float, float, float]
    """Added to blue, green and red, in levels."""
    grey_noise: bool
    """Whether all channels get the same noise."""
    grey: bool
    """Whether the result is greyscale."""


class BlindFace:
    """The corruption `bfr`; see `odekit.plugins.Corruption`."""

    def __init__(self, options: Bfr | None = None) -> None:
        """Import basicsr. Raises PluginError if that fails."""
        self.options = options or Bfr()
        self.basicsr = module("data.degradations")

    def corrupt(self, image: Image, rng: np.random.Generator) -> Image:
        """The degraded image, rounded to 8 bits as in training. Alpha and metadata do not change."""
        bgr = np.ascontiguousarray(image.pixels[::-1].transpose(1, 2, 0))
        damaged = self.apply(bgr, self.draw(rng), rng)
        rounded = np.rint(np.clip(damaged, 0, 1) * 255) / 255
        return image.with_pixels(np.ascontiguousarray(rounded.transpose(2, 0, 1)[::-1]).astype(np.float32))

    def draw(self, rng: np.random.Generator) -> DegradationParameters:
        """Draw the parameters of one image.

        The number of draws is constant, so that an option affects only its own step.
        """
        options, ranges, u = self.options, self.options.ranges(), rng.random(15).tolist()
        along, across = interpolate_range(ranges.blur, u[1]), interpolate_range(ranges.blur, u[2])
        kernel = self.shape(u[0])
        red, green, blue = (interpolate_range((-options.colour_shift, options.colour_shift), v) for v in u[9:12])
        return DegradationParameters(
            kernel=kernel,
            sigma=(along, across if kernel.endswith("aniso") else along),
            angle=interpolate_range((-math.pi, math.pi), u[3]),
            beta=interpolate_range((options.beta[0], 1.0) if u[4] < 0.5 else (1.0, options.beta[1]), u[5]),
            factor=interpolate_range(ranges.downsample, u[6]),
            noise=interpolate_range(ranges.noise, u[7]),
            quality=int(interpolate_range(ranges.jpeg, u[8])),
            shift=(blue, green, red) if u[12] < options.colour else (0.0, 0.0, 0.0),
            grey_noise=u[13] < options.grey_noise,
            grey=u[14] < options.grey,
        )

    def shape(self, u: float) -> str:
        """The kernel shape for a uniform number in [0, 1)."""
        odds = np.array(self.options.odds or [1.0] * len(self.options.kernels))
        # Exclude shapes with odds 0: rounding cannot select them.
        possible = [kernel for kernel, odd in zip(self.options.kernels, odds, strict=True) if odd > 0]
        steps = np.cumsum(odds[odds > 0] / odds.sum())
        return possible[min(int(np.searchsorted(steps, u, side="right")), len(possible) - 1)]

    def apply(self, bgr: Pixels, draw: DegradationParameters, rng: np.random.Generator) -> Pixels:
        """Degrade a BGR image with the drawn parameters; the noise comes from `rng`."""
        height, width = bgr.shape[:2]
        out: Any = cv2.filter2D(bgr, -1, self.kernel(draw))
        small = max(1, int(width // draw.factor)), max(1, int(height // draw.factor))
        out = cv2.resize(out, small, interpolation=cv2.INTER_LINEAR)
        noise = rng.standard_normal(out.shape[:2] if draw.grey_noise else out.shape).astype(np.float32)
        out = out + (noise[..., None] if draw.grey_noise else noise) * np.float32(draw.noise / 255)
        out = compressed(np.clip(out, 0, 1), draw.quality)
        out = cv2.resize(out, (width, height), interpolation=cv2.INTER_LINEAR)
        if any(draw.shift):
            out = np.clip(out + np.array(draw.shift, np.float32) / 255, 0, 1)
        if draw.grey:
            out = np.repeat(cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
        damaged: Pixels = out
        return damaged

    def kernel(self, draw: DegradationParameters) -> NDArray[np.float64]:
        """The blur kernel (side, side), summing to 1."""
        shape = {"generalized": "generalized_Gaussian", "plateau": "plateau"}.get(
            draw.kernel.partition("_")[0], "Gaussian"
        )
        beta = () if shape == "Gaussian" else (draw.beta,)
        kernel_function = getattr(self.basicsr, f"bivariate_{shape}")
        isotropic = not draw.kernel.endswith("aniso")
        kernel: NDArray[np.float64] = kernel_function(
            self.options.kernel_side, *draw.sigma, draw.angle, *beta, isotropic=isotropic
        )
        return kernel


def compressed(bgr: Pixels, quality: int) -> Pixels:
    """The image after JPEG compression, as in basicsr's `add_jpg_compression`, but with integers as OpenCV requires."""
    levels = np.rint(bgr * np.float32(255)).astype(np.uint8)
    data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32) / np.float32(255)


def interpolate_range(pair: Pair, u: float) -> float:
    """Map u in [0, 1) linearly to a range."""
    return pair[0] + (pair[1] - pair[0]) * u
