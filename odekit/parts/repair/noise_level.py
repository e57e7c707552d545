"""Measure the noise of a photograph: white noise, also where it is clipped, and correlated noise (film grain, JPEG).

The cosine transform of small blocks separates noise from texture. White noise has the same power at all frequencies,
and texture has far more at low ones: of 34 clean textures that exceed the threshold of the stage `denoise`, all have
more than 2.7 times as much power at middle as at high frequencies, white noise at most 1.2 times. Film grain is such a
texture too; `odekit.parts.repair.correlated` tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.parts.repair import censored
from odekit.parts.repair.correlated import measure_correlated
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
MIN_RATIO, MIN_WHITE_RATIO = 0.8, 1.25
"""The measured spectrum is used if its noise is at least this many times the white noise that is measured without it:
the second number if the spectrum is white, because then both should agree, and the other measure is more exact."""
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


@dataclass(frozen=True)
class NoiseLevel:
    """Measured noise."""

    std: float | None
    """Standard deviation, mean over the channels, for pixels in [0, 1]; 0 if there is none, None if unknown."""
    reason: str = ""
    """Why it is unknown."""
    size: int = 1
    """About the width of the grain in pixels; 1 for white noise."""
    spectrum: Floats | None = None
    """(3, S, S): standard deviation of each DCT coefficient of luma and of the two chroma axes."""
    visible: float | None = None
    """Standard deviation of white noise that is as visible: with the same power at frequencies up to 1/4 per pixel.
    None if the noise is white."""


def measure_noise(pixels: Pixels) -> NoiseLevel:
    """Measure the noise of a photograph (3, H, W) in [0, 1]."""
    patches = sample_patches(pixels)
    blocks = split(patches, BLOCK)
    clipped = ((blocks <= censored.LOWEST) | (blocks >= censored.HIGHEST)).mean((1, 2, 3))
    usable = (clipped <= censored.MAX_SHARE) & (np.ptp(blocks, axis=(2, 3)).max(1) > 0)  # a drawn border has no noise
    if usable.sum() < MIN_BLOCKS:
        few = "too small" if len(blocks) < MIN_BLOCKS else "nearly all of it is black or white"
        return NoiseLevel(None, few)
    white = _white(blocks[usable])
    noise = measure_correlated(pixels) if white < MAX_GRAIN else None
    if noise is not None and noise.std > (MIN_WHITE_RATIO if noise.white else MIN_RATIO) * white:
        return NoiseLevel(noise.std, "", noise.size, noise.spectrum, noise.visible)
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


def _white(blocks: Floats) -> float:
    """Standard deviation of the white noise in blocks (N, 3, B, B).

    Bins of brightness are combined by their median, with a limit from the bin with the lowest power.
    """
    energy, mean = censored.block_power(blocks)
    bins = int(np.clip(len(energy) // (4 * MIN_BLOCKS), 1, BRIGHTNESS_BINS))
    variances, limits = [], []
    for members in np.array_split(np.argsort(mean), bins):
        flat = energy[members][flat_blocks(energy[members])].mean(0)
        variances.append(max(steep_floor(flat), *(white_part(flat, *bands) for bands in TEXTURE_RATIOS)))
        limits.append(MAX_UNEVENNESS**2 * float(flat[HIGH].mean()))
    return float(np.sqrt(min(np.median(variances), *limits)))


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
