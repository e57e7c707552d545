"""Keep fine detail of the original that the restored face cannot have, because its chain works on smaller pictures.

The result is `(1 - w) R + w (O + low(R - O))`: R is the restored face, O the original, and `low` the part of a picture
that the narrowest picture of the chain can represent. Where w is 1, only that part is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.images.colour import luma
from odekit.parts.faces.masks import smoothstep
from odekit.parts.faces.warp import reduce_square

MEASURE_SIDE = 256
"""Damage is measured on crops of at most this side, or of twice the narrowest side if that is larger."""
NOISE_WEIGHTING_RANGE = (0.012, 0.022)
"""Noise level (standard deviation, pixels in [0, 1]). Up to the first value all detail is kept; from the second on,
only detail that exceeds the noise. Clean faces at 256 px: 0.003 in the median, 0.008 at the 90th percentile."""
NOISE_RANGE = (0.06, 0.11)
"""Noise level up to which detail is kept, and from which no detail is kept. Gaussian noise of severity 1: 0.05."""
SPECKS_RANGE = (0.03, 0.07)
"""The same for the fraction of pixels that differ by more than 0.1 from the median of their neighbours. Clean: 0.018 at
the 90th percentile; with 1/20 of the pixels masked: 0.056."""
BLOCKS_RANGE = (1.25, 1.8)
"""The same for the ratio of the steps at the 8-pixel borders of JPEG blocks to the other steps."""
LARGE_FACE_RANGE = (3.0, 4.0)
"""Side of the face over the narrowest side. From the second value on, the original has more detail than the restored
face even with JPEG blocks (quality 15), so blocks are ignored. Measured on faces of 128 to 1,749 pixels: if replaced
completely, those of 192 gain 0.3 dB, those of 267 lose 1.5, the largest 4.7."""
MIN_KEPT_SHARPNESS = 0.95
"""Sharpness (fine detail over that of the restored face) from which the original counts as sharp as the restored face.
For the faces of our ten photographs that are large enough: undamaged at least 1.15, after JPEG of severity 2 and 3
0.98, after Gaussian blur of severity 2 at most 0.93."""
CLEANED_FACE_RANGE = (2.0, 3.0)
"""Side of the face over the narrowest side, for photographs cleaned by the background's chain. Up to the first value
the restored face is pasted; from the second on, the cleaned photograph is kept. With noise of severity 2 (and 3),
restored faces of 60 pixels gain 0.5 to 1.1 dB over faces that were only denoised, those of 140 gain 0 (1.0), those of
200 lose 1.5 (0.2), those of 300 lose 2.0 (0.4 to 1.4), visibly at the lips and in the colour of the eyes."""
SHARPNESS_RANGE = (0.15, 0.5)
"""Sharpness (fine detail over that of the restored face): below the first value the original is blurred, above the
second it is sharp."""
CHANGE_RANGE = (0.08, 0.2)
"""Change of a low-pass filtered pixel up to which the chain found no damage there, and from which it did."""


@dataclass(frozen=True)
class DetailQuality:
    """Measurements of how sharp and clean an original is. The field names are keys of the record."""

    noise: float
    specks: float
    blocks: float
    sharpness: float
    trust: float
    """Share of the detail that is kept, 0 to 1."""

    def tree(self) -> dict[str, float]:
        """Plain data, rounded."""
        return {name: round(value, 4) for name, value in vars(self).items()}


def measure_quality(
    original: NDArray[np.float32], restored: NDArray[np.float32], narrow: int, blocks: float, side: float = 0.0
) -> DetailQuality:
    """Measure an aligned original against its restored face.

    Args:
        original: (3, S, S).
        restored: (3, S, S).
        narrow: side of the narrowest picture in the face's chain.
        blocks: `blockiness` of the photograph at the face.
        side: of the face in the photograph, in pixels.
    """
    y = luma(original)
    inner, noise = face_region(y), noise_level(y)
    specks = float((np.abs(y - median_filter(y))[inner] > 0.1).mean())
    original_detail, restored_detail = (high_pass(luma(x), narrow)[inner] for x in (original, restored))
    signal = max(0.0, float((original_detail**2).mean()) - noise**2)
    sharpness = float(np.sqrt(signal / max(float((restored_detail**2).mean()), 1e-8)))
    trust = max(scaled_smoothstep(blocks, *reversed(BLOCKS_RANGE)), scaled_smoothstep(side / narrow, *LARGE_FACE_RANGE))
    for value, (good, bad) in ((noise, NOISE_RANGE), (specks, SPECKS_RANGE)):
        trust *= scaled_smoothstep(value, bad, good)
    return DetailQuality(noise, specks, blocks, sharpness, trust * scaled_smoothstep(sharpness, *SHARPNESS_RANGE))


def low_pass_change(original: NDArray[np.float32], restored: NDArray[np.float32], narrow: int) -> NDArray[np.float32]:
    """The low-pass change `low(R - O)` as a picture (3, narrow, narrow)."""
    return reduce_square(restored, narrow) - reduce_square(original, narrow)


def unchanged_weight(changed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weight (1, n, n) of the original's detail: 1 where the chain changed little, 0 where it removed damage.

    Such damage is scratches, stains and gaps. The change (3, n, n) is averaged over 3 x 3 pixels.
    """
    largest = np.abs(changed).max(0)
    height, width = largest.shape
    padded = np.pad(largest, 1, mode="edge")
    mean = sum(padded[dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)) / 9
    return 1 - smoothstep((np.asarray(mean) - CHANGE_RANGE[0]) / (CHANGE_RANGE[1] - CHANGE_RANGE[0]))[None]


def noise_weight(original: NDArray[np.float32], narrow: int) -> NDArray[np.float32]:
    """Weight (1, S, S) of the fine detail of (3, S, S) against its noise: 1 everywhere in a clean picture.

    A Wiener gain with three times the noise variance, `1 - 3 n^2 / e`: n is the noise level, e the mean square of the
    detail over 5 x 5 pixels.
    """
    y = luma(original)
    noise = noise_level(y)
    noisy = scaled_smoothstep(noise, *NOISE_WEIGHTING_RANGE)
    padded = np.pad(high_pass(y, narrow) ** 2, 2, mode="edge")
    size = len(y)
    energy = sum(padded[dy : dy + size, dx : dx + size] for dy in range(5) for dx in range(5)) / np.float32(25)
    gain = np.clip(1 - 3 * noise**2 / np.maximum(energy, 1e-9), 0, 1)
    return (1 - noisy * (1 - gain)).astype(np.float32)[None]


def noise_level(y: NDArray[np.float32]) -> float:
    """Noise level (standard deviation) of an aligned face (S, S).

    The median absolute value of a 3 x 3 difference of Laplacians, which is 0 on straight edges (Immerkaer 1996,
    doi:10.1006/cviu.1996.0060), over 0.6745. The median replaces the paper's mean, so that edges count less.
    """
    return float(np.median(np.abs(laplacian_difference(y)[face_region(y)]))) / 0.6745


def face_region(y: NDArray[np.float32]) -> tuple[slice, slice]:
    """The inner part of an aligned crop, which shows the face only."""
    return slice(y.shape[0] // 4, -(y.shape[0] // 5)), slice(y.shape[1] // 4, -(y.shape[1] // 4))


def blockiness(pixels: NDArray[np.float32]) -> float:
    """Mean step across the borders of 8 x 8 blocks, counted from the picture's corner, over the mean of other steps."""
    y = luma(pixels)
    ratios = []
    for plane in (y, y.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(0)
        border = np.arange(1, plane.shape[1]) % 8 == 0
        if border.any() and not border.all():
            ratios.append(float(steps[border].mean()) / max(float(steps[~border].mean()), 1e-4))
    return float(np.mean(ratios)) if ratios else 1.0


def laplacian_difference(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """The difference of two Laplacians, scaled so that white noise keeps its standard deviation."""
    padded = np.pad(y, 1, mode="reflect")
    rows = padded[:-2] - 2 * padded[1:-1] + padded[2:]
    out: NDArray[np.float32] = (rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]) / 6
    return out


def median_filter(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """The median of each 3 x 3 neighbourhood."""
    padded = np.pad(y, 1, mode="reflect")
    neighbours = [padded[dy : dy + y.shape[0], dx : dx + y.shape[1]] for dy in range(3) for dx in range(3)]
    return np.asarray(np.median(np.stack(neighbours), axis=0), dtype=np.float32)


def high_pass(y: NDArray[np.float32], narrow: int) -> NDArray[np.float32]:
    """The part of a picture (S, S) that a picture of `narrow` pixels cannot represent (high-pass)."""
    from odekit.images.resize import resample

    if narrow >= len(y):
        return np.zeros_like(y)
    low = resample(reduce_square(y[None], narrow)[0], len(y), len(y), "bicubic")
    return y - low


def scaled_smoothstep(value: float, low: float, high: float) -> float:
    """Smoothstep from 0 at `low` to 1 at `high`; `low` may be the larger one."""
    return float(smoothstep(np.array((value - low) / (high - low))))
