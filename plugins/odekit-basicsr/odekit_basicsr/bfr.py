"""The degradation that blind face restorers are trained on: `y = [(x * k) down s + n] JPEG q`, back to its size.

Wang et al., GFP-GAN (CVPR 2021, arXiv:2101.04061), eq. 6, after Li et al. (ECCV 2020, arXiv:2008.00418). basicsr makes
the kernels and the compression; all that is random is drawn here, from the picture's own generator, since basicsr draws
from the process's.
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
"""float32 (H, W, 3), BGR in [0, 1], as basicsr has it."""


@dataclass(frozen=True)
class Draw:
    """What was drawn for one picture, all but the noise itself."""

    kernel: str
    sigma: Pair
    """Along and across, in pixels."""
    angle: float
    """Of the kernel, in radians."""
    beta: float
    """Exponent of generalised and plateau kernels."""
    factor: float
    """Sides are divided by it."""
    noise: float
    """Standard deviation in levels of 255."""
    quality: int
    shift: tuple[float, float, float]
    """Added to blue, green and red, in levels."""
    grey_noise: bool
    """The same in all channels."""
    grey: bool


class BlindFace:
    """The corruption `bfr`; see `odekit.plugins.Corruption`."""

    def __init__(self, options: Bfr | None = None) -> None:
        """Import basicsr. Raises PluginError where it cannot be imported."""
        self.options = options or Bfr()
        self.basicsr = module("data.degradations")

    def corrupt(self, image: Image, rng: np.random.Generator) -> Image:
        """The damaged picture, rounded to 8 bits as in training; alpha and metadata are untouched."""
        bgr = np.ascontiguousarray(image.pixels[::-1].transpose(1, 2, 0))
        damaged = self.apply(bgr, self.draw(rng), rng)
        rounded = np.rint(np.clip(damaged, 0, 1) * 255) / 255
        return image.with_pixels(np.ascontiguousarray(rounded.transpose(2, 0, 1)[::-1]).astype(np.float32))

    def draw(self, rng: np.random.Generator) -> Draw:
        """What happens to one picture. Everything is drawn in any case, so that an option changes only its own part."""
        options, ranges, u = self.options, self.options.ranges(), rng.random(15).tolist()
        along, across = _within(ranges.blur, u[1]), _within(ranges.blur, u[2])
        kernel = self.shape(u[0])
        red, green, blue = (_within((-options.colour_shift, options.colour_shift), v) for v in u[9:12])
        return Draw(
            kernel=kernel,
            sigma=(along, across if kernel.endswith("aniso") else along),
            angle=_within((-math.pi, math.pi), u[3]),
            beta=_within((options.beta[0], 1.0) if u[4] < 0.5 else (1.0, options.beta[1]), u[5]),
            factor=_within(ranges.downsample, u[6]),
            noise=_within(ranges.noise, u[7]),
            quality=int(_within(ranges.jpeg, u[8])),
            shift=(blue, green, red) if u[12] < options.colour else (0.0, 0.0, 0.0),
            grey_noise=u[13] < options.grey_noise,
            grey=u[14] < options.grey,
        )

    def shape(self, u: float) -> str:
        """The kernel's shape from a number in [0, 1)."""
        odds = np.array(self.options.odds or [1.0] * len(self.options.kernels))
        # Never one whose odds are 0, whatever rounding does.
        possible = [kernel for kernel, odd in zip(self.options.kernels, odds, strict=True) if odd > 0]
        steps = np.cumsum(odds[odds > 0] / odds.sum())
        return possible[min(int(np.searchsorted(steps, u, side="right")), len(possible) - 1)]

    def apply(self, bgr: Pixels, draw: Draw, rng: np.random.Generator) -> Pixels:
        """The steps in their order; the noise is drawn from `rng`."""
        height, width = bgr.shape[:2]
        out: Any = cv2.filter2D(bgr, -1, self.kernel(draw))
        small = max(1, int(width // draw.factor)), max(1, int(height // draw.factor))
        out = cv2.resize(out, small, interpolation=cv2.INTER_LINEAR)
        grains = rng.standard_normal(out.shape[:2] if draw.grey_noise else out.shape).astype(np.float32)
        out = out + (grains[..., None] if draw.grey_noise else grains) * np.float32(draw.noise / 255)
        out = compressed(np.clip(out, 0, 1), draw.quality)
        out = cv2.resize(out, (width, height), interpolation=cv2.INTER_LINEAR)
        if any(draw.shift):
            out = np.clip(out + np.array(draw.shift, np.float32) / 255, 0, 1)
        if draw.grey:
            out = np.repeat(cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
        damaged: Pixels = out
        return damaged

    def kernel(self, draw: Draw) -> NDArray[np.float64]:
        """The blur kernel (side, side), summing to 1."""
        shape = {"generalized": "generalized_Gaussian", "plateau": "plateau"}.get(
            draw.kernel.partition("_")[0], "Gaussian"
        )
        beta = () if shape == "Gaussian" else (draw.beta,)
        make = getattr(self.basicsr, f"bivariate_{shape}")
        isotropic = not draw.kernel.endswith("aniso")
        made: NDArray[np.float64] = make(self.options.kernel_side, *draw.sigma, draw.angle, *beta, isotropic=isotropic)
        return made


def compressed(bgr: Pixels, quality: int) -> Pixels:
    """JPEG and back, as basicsr's `add_jpg_compression` (which OpenCV warns of, since it hands over no integers)."""
    levels = np.rint(bgr * np.float32(255)).astype(np.uint8)
    data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32) / np.float32(255)


def _within(pair: Pair, u: float) -> float:
    """A number u in [0, 1) as a number in a range."""
    return pair[0] + (pair[1] - pair[0]) * u
