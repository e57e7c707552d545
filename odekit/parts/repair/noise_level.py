"""Measure the noise of a photograph: white noise, also where it is clipped, and correlated noise (film grain, JPEG).

The cosine transform of small blocks separates noise from texture. White noise has the same power at all frequencies,
and texture has far more at low ones: of 34 clean textures that exceed the threshold of the stage `denoise`, all have
more than 2.7 times as much power at middle as at high frequencies, white noise at most 1.2 times. Film grain is such a
texture too, but it is white in a reduced copy, and alike in all flat places of a photograph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.parts.repair import censored
from odekit.parts.repair.dct import SIDE, dct_matrix, transform

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
PATCH, MAX_PATCHES = 32, 400
"""Side of the patches that are evenly spread over the photograph, and their approximate largest number."""
BLOCK = 8
"""Side of the blocks in which noise is separated from texture."""
MIN_BLOCKS = 24
"""Smallest number of usable blocks for a measurement."""
FLAT_SHARE = 0.25
"""Share of the blocks that is measured: those with the lowest power at low frequencies."""
MAX_GRAIN = 0.15
"""White noise from this standard deviation on hides grain."""
BRIGHTNESS_BINS = 4
"""Groups of blocks by brightness; each is measured, because noise may depend on it."""
_RADIUS = np.hypot(*np.mgrid[:BLOCK, :BLOCK])
LOW, MIDDLE, HIGH = (_RADIUS > 0) & (_RADIUS < 3.2), (_RADIUS > 3.2) & (_RADIUS < 5), _RADIUS >= 5.5
"""Frequencies (coefficients of a block): structure, texture and noise, mostly noise."""
BELOW_HIGHEST, HIGHEST = (_RADIUS >= 5) & (_RADIUS < 6.5), _RADIUS >= 6.5
TEXTURE_RATIOS = ((MIDDLE, HIGH, 2.5), (BELOW_HIGHEST, HIGHEST, 1.45))
"""Two frequency bands, and the power of clean textures in the first over that in the second, at least."""
MAX_STEEP_RATIO = 1.5
"""Largest ratio of the power in the last two bands for the extrapolation of a steep spectrum."""
MAX_UNEVENNESS = 3.0
"""Largest ratio of the noise (standard deviation) at any brightness to the lowest. Texture covers some things only."""
GRAIN_SCALES, GRAIN_PATCH, MAX_GRAIN_PATCHES = (2, 3, 4, 6), 96, 120
"""Reductions in which correlated noise may be white; side and largest number of the patches for them."""
GRAIN_SHARE = 0.12
"""Share of the blocks that is measured for grain."""
GRAIN_RULES = ((1.85, 3.8, 0.66), (1.5, 2.2, 0.6), (1.25, 1.4, 0.6))
"""Grain has at most the first ratio of power in the reduced copy; in some finer copy the ratio is at least the second
number of times larger; and the noise of the flat blocks at the 10th percentile is at least the third number times that
at the 50th, and that at least as many times that at the 90th. Clean textures enlarged by 2 have 2.0 and more."""
MIN_GRAIN_RATIO = 0.7
"""Smallest ratio in any coarser copy; fabric has 0.1 to 0.6, because it is periodic."""


@dataclass(frozen=True)
class NoiseLevel:
    """Measured noise."""

    std: float | None
    """Standard deviation, mean over the channels, for pixels in [0, 1]; 0 if there is none, None if unknown."""
    reason: str = ""
    """Why it is unknown."""
    scale: int = 1
    """1: white; else the reduction in which it is white, a little more than the size of the grain in pixels."""
    spectrum: Floats | None = None
    """(3, S, S): standard deviation of each DCT coefficient of luma and of the two chroma axes."""


def measure_noise(pixels: Pixels) -> NoiseLevel:
    """Measure the noise of a photograph (3, H, W) in [0, 1]."""
    patches = sample_patches(pixels)
    blocks = split(patches, BLOCK)
    clipped = ((blocks <= censored.LOWEST) | (blocks >= censored.HIGHEST)).mean((1, 2, 3))
    usable = (clipped <= censored.MAX_SHARE) & (np.ptp(blocks, axis=(2, 3)).max(1) > 0)  # a drawn border has no noise
    if usable.sum() < MIN_BLOCKS:
        few = "too small" if len(blocks) < MIN_BLOCKS else "nearly all of it is black or white"
        return NoiseLevel(None, few)
    white, ratio = _white(blocks[usable])
    if white < MAX_GRAIN:
        large = sample_patches(pixels, GRAIN_PATCH, MAX_GRAIN_PATCHES)
        large = large[((large > censored.LOWEST) & (large < censored.HIGHEST)).mean((1, 2, 3)) > 0.9]
        if scale := _grain_scale(large, ratio):
            spectrum, std = _spectrum(large)
            if std > white:
                return NoiseLevel(std, "", scale, spectrum)
    axes = white * _axis_shares(blocks[usable])
    return NoiseLevel(white, "", 1, np.repeat(axes, SIDE * SIDE).reshape(3, SIDE, SIDE))


def sample_patches(pixels: Pixels, side: int = PATCH, most: int = MAX_PATCHES) -> Floats:
    """About `most` patches (N, 3, P, P), evenly spread; P is `side`, or a smaller multiple of `BLOCK`."""
    height, width = pixels.shape[1:]
    side = min(side, min(height, width) // BLOCK * BLOCK)
    if not side:
        return np.empty((0, 3, BLOCK, BLOCK), np.float32)
    rows, columns = height // side, width // side
    stride = max(1, int(np.ceil(np.sqrt(rows * columns / most))))
    tops, lefts = np.arange(0, rows, stride) * side, np.arange(0, columns, stride) * side
    return np.stack([pixels[:, y : y + side, x : x + side] for y in tops for x in lefts])


def split(patches: Floats, side: int) -> Floats:
    """Patches (N, 3, P, P) as blocks (M, 3, side, side); what does not fill a block is left out."""
    count, _, height, width = patches.shape
    rows, columns = height // side, width // side
    cut = patches[..., : rows * side, : columns * side].reshape(count, 3, rows, side, columns, side)
    return np.ascontiguousarray(cut.transpose(0, 2, 4, 1, 3, 5)).reshape(-1, 3, side, side)


def power(blocks: Floats) -> Floats:
    """Squares of the DCT coefficients of blocks (N, 3, S, S)."""
    side = blocks.shape[-1]
    return np.square(transform(blocks.reshape(-1, side, side), dct_matrix(side))).reshape(blocks.shape)


def flat_blocks(energy: Floats, share: float = FLAT_SHARE) -> NDArray[np.intp]:
    """Indices of the flattest blocks, from their mean power (N, S, S)."""
    count = max(MIN_BLOCKS // 2, int(share * len(energy)))
    return np.argsort(energy[:, LOW].mean(1))[:count]


def _white(blocks: Floats) -> tuple[float, float]:
    """Standard deviation of the white noise in blocks (N, 3, B, B), and the ratio of power in the flattest ones.

    Bins of brightness are combined by their median, with a limit from the bin with the lowest power.
    """
    energy, mean = censored.block_power(blocks)
    bins = int(np.clip(len(energy) // (4 * MIN_BLOCKS), 1, BRIGHTNESS_BINS))
    variances, limits, ratios = [], [], []
    for members in np.array_split(np.argsort(mean), bins):
        flat = energy[members][flat_blocks(energy[members])].mean(0)
        variances.append(max(steep_floor(flat), *(white_part(flat, *bands) for bands in TEXTURE_RATIOS)))
        limits.append(MAX_UNEVENNESS**2 * float(flat[HIGH].mean()))
        ratios.append(float(flat[MIDDLE].mean()) / max(float(flat[HIGH].mean()), 1e-9))
    return float(np.sqrt(min(np.median(variances), *limits))), float(np.median(ratios))


def white_part(energy: Floats, lower: Mask, upper: Mask, ratio: float) -> float:
    """Variance of the white part of a power spectrum (S, S): the power that is equal in two bands.

    The rest, texture, has `ratio` times as much power in the lower band as in the upper one.
    """
    below, above = float(energy[lower].mean()), float(energy[upper].mean())
    return max(0.0, min(above, (ratio * above - below) / (ratio - 1)))


def steep_floor(energy: Floats) -> float:
    """Variance of the white part of a power spectrum (S, S) whose other part falls steeply; 0 if it does not.

    The power in three bands of rising frequency is v + T q^n, which gives v (Aitken's extrapolation, 1926). Clean
    textures are flatter at the highest frequencies than such a series, so it is used up to `MAX_STEEP_RATIO` only.
    """
    first, second, third = (float(energy[band].mean()) for band in (MIDDLE, BELOW_HIGHEST, HIGHEST))
    if not third < second < MAX_STEEP_RATIO * third or first - second < 2 * (second - third):
        return 0.0
    return max(0.0, (first * third - second**2) / (first + third - 2 * second))


def _axis_shares(blocks: Floats) -> Floats:
    """(3,): noise of luma and of the chroma axes over the mean over the channels, in the flattest blocks."""
    rotated = np.einsum("ij,njhw->nihw", LUMA_CHROMA_AXES.astype(np.float32), blocks)
    energy = power(rotated)
    chosen = energy[flat_blocks(energy.mean(1))]
    axes = chosen[:, :, MIDDLE | HIGH].mean((0, 2))
    shares: Floats = np.sqrt(axes / max(float(axes.mean()), 1e-12)).astype(np.float32)
    return shares


def _grain_scale(patches: Floats, ratio: float) -> int:
    """The reduction in which the noise of patches (N, 3, P, P) is white and alike in all flat places; 0 if none is.

    Args:
        patches: of the photograph.
        ratio: of the power of their blocks at middle and at high frequencies.
    """
    found, largest = 0, ratio
    for scale in GRAIN_SCALES:
        side = patches.shape[-1] // scale if len(patches) else 0
        if side < BLOCK:
            break
        cut = patches[..., : side * scale, : side * scale].reshape(len(patches), 3, side, scale, side, scale)
        energy = power(split(cut.mean((3, 5)), BLOCK)).mean(1)
        if len(energy) < 4 * MIN_BLOCKS:
            break
        flat = energy[flat_blocks(energy, GRAIN_SHARE)]
        here = float(flat[:, MIDDLE].mean()) / max(float(flat[:, HIGH].mean()), 1e-9)
        if here < MIN_GRAIN_RATIO:
            return 0
        tenth, half, ninetieth = np.sqrt(np.quantile(flat[:, _RADIUS > 1.5].mean(1), [0.1, 0.5, 0.9]))
        even = min(tenth / max(half, 1e-9), half / max(ninetieth, 1e-9))
        white = any(here < most and largest > fall * here and even > least for most, fall, least in GRAIN_RULES)
        found, largest = found or white * scale, max(largest, here)
    return found


def _spectrum(patches: Floats) -> tuple[Floats, float]:
    """Spectrum (3, S, S) of the noise in the flattest blocks of patches, and its standard deviation."""
    rotated = np.einsum("ij,njhw->nihw", LUMA_CHROMA_AXES.astype(np.float32), split(patches, SIDE))
    energy = power(rotated)
    radius = np.hypot(*np.mgrid[:SIDE, :SIDE])
    low = (radius > 0) & (radius < 4)
    chosen = energy[np.argsort(energy[:, :, low].mean((1, 2)))[: max(MIN_BLOCKS, int(GRAIN_SHARE * len(energy)))]].mean(
        0
    )
    ring = np.minimum(radius.round().astype(int), SIDE)
    smooth = np.stack(
        [(np.bincount(ring.ravel(), plane.ravel()) / np.bincount(ring.ravel()))[ring] for plane in chosen]
    )
    smooth[:, radius < 3] = smooth[:, (radius >= 3) & (radius < 4)].mean(1)[:, None]  # the rest is structure
    return np.sqrt(smooth).astype(np.float32), float(np.sqrt(smooth.mean()))
