"""The damage of real photographs of faces: blur, reduction, noise, JPEG, and enlargement back, in this order.

Parameters are drawn uniformly from ranges that belong to a face of 256 pixels; blur scales with the side.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Limits
from pydantic import model_validator

from odekit.core.image import Image
from odekit.core.options import Options

Range = tuple[float, float]


@dataclass(frozen=True)
class PhotoDamage:
    """Ranges that a picture's parameters are drawn from."""

    blur: Range
    """Standard deviation of a Gaussian in pixels of a face of 256; half of the time the second axis is half as wide."""
    factor: Range
    """Side over the reduced side."""
    noise: Range
    """Standard deviation in grey levels of 255, added at the reduced size; four times in ten alike in all channels."""
    quality: Range
    """Of the JPEG at the reduced size."""


MILD = PhotoDamage((0.6, 1.6), (1, 2), (0, 4), (70, 95))
MEDIUM = PhotoDamage((1.2, 3.2), (2, 4), (3, 10), (45, 75))
HEAVY = PhotoDamage((2.4, 5.0), (4, 8), (6, 18), (25, 55))


def midpoint(one: PhotoDamage, two: PhotoDamage) -> PhotoDamage:
    """The middle of two strengths, end by end."""
    pairs = zip(vars(one).values(), vars(two).values(), strict=True)
    return PhotoDamage(*(((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairs))


STRENGTHS = {1: MILD, 2: midpoint(MILD, MEDIUM), 3: MEDIUM, 4: midpoint(MEDIUM, HEAVY), 5: HEAVY}
"""By severity."""
LIMITS = {"blur": (0, 50), "factor": (1, 64), "noise": (0, 255), "quality": (1, 100)}
"""Lowest and highest value of each range."""
REDUCE = ("BILINEAR", "BOX", "BICUBIC")


class Photo(Options):
    """Options of the corruption `photo`: a severity, and ranges that replace those of the severity."""

    part = "photo"
    severity: int = Limits(default=3, ge=1, le=5)
    """1 is mild, 3 medium, 5 heavy; 2 and 4 lie in the middle."""
    blur: list[float] | None = Limits(default=None, min_length=2, max_length=2)
    """Lowest and highest standard deviation of the blur, in pixels of a face of 256."""
    factor: list[float] | None = Limits(default=None, min_length=2, max_length=2)
    """Lowest and highest reduction of the side."""
    noise: list[float] | None = Limits(default=None, min_length=2, max_length=2)
    """Lowest and highest standard deviation of the noise, in grey levels of 255."""
    quality: list[float] | None = Limits(default=None, min_length=2, max_length=2)
    """Lowest and highest JPEG quality, 1 to 100."""

    @model_validator(mode="after")
    def _check_ranges(self) -> Photo:
        for name, (least, most) in LIMITS.items():
            low, high = getattr(self, name) or (least, least)
            if not least <= low <= high <= most:
                raise ValueError(f"{name}: two numbers from {least:g} to {most:g}, the lower one first")
        return self

    def ranges(self) -> PhotoDamage:
        """The ranges of the severity, with those that are set."""
        given = {name: (low, high) for name in LIMITS if (pair := getattr(self, name)) for low, high in [pair]}
        return replace(STRENGTHS[self.severity], **given)


class PhotoCorruption:
    """Damages images as real photographs are damaged; see `odekit.core.interfaces.Corruption`."""

    def __init__(self, options: Photo) -> None:
        self.ranges = options.ranges()

    def corrupt(self, image: Image, rng: np.random.Generator) -> Image:
        """The damaged image, with levels of 8 bits; alpha and metadata are unchanged."""
        return image.with_pixels(Image.from_uint8(damage(image.to_uint8(), self.ranges, rng)).pixels)


def damage(pixels: NDArray[np.uint8], ranges: PhotoDamage, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (H, W, 3) with parameters drawn from these ranges."""
    import PIL.Image
    from scipy.ndimage import gaussian_filter

    height, width = pixels.shape[:2]
    scale = min(height, width) / 256
    std, factor = rng.uniform(*ranges.blur) * scale, rng.uniform(*ranges.factor)
    noise, quality = rng.uniform(*ranges.noise), round(rng.uniform(*ranges.quality))
    values = pixels.astype(np.float32)
    if rng.random() < 0.5:
        values = elliptic(values, std, std / 2, rng.uniform(0, np.pi))
    else:
        values = gaussian_filter(values, (std, std, 0), mode="reflect")
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    filtering = PIL.Image.Resampling[REDUCE[rng.integers(len(REDUCE))]]
    reduced = PIL.Image.fromarray(eight_bits(values)).resize(small, filtering)
    channels = 1 if rng.random() < 0.4 else 3
    noisy = np.asarray(reduced) + noise * rng.standard_normal((small[1], small[0], channels))
    file = io.BytesIO()
    PIL.Image.fromarray(eight_bits(noisy)).save(file, "JPEG", quality=quality)
    back = PIL.Image.open(file).convert("RGB").resize((width, height), PIL.Image.Resampling.BICUBIC)
    out: NDArray[np.uint8] = np.asarray(back)
    return out


def elliptic(values: NDArray[np.float32], major: float, minor: float, angle: float) -> NDArray[np.float32]:
    """A Gaussian blur with two standard deviations in pixels and the major axis at an angle; (H, W, 3)."""
    from scipy.ndimage import convolve

    reach = max(1, int(np.ceil(4 * major)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    kernel = np.exp(-0.5 * ((u / max(major, 1e-6)) ** 2 + (v / max(minor, 1e-6)) ** 2))
    out: NDArray[np.float32] = convolve(values, (kernel / kernel.sum())[..., None].astype(np.float32), mode="reflect")
    return out


def eight_bits(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Rounded and clipped to 8 bits."""
    out: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return out
