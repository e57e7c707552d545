"""Correlated noise: film grain, and noise that was compressed or resized. Its spectrum, and whether it is noise.

Stationary Gaussian noise has independent coefficients in the cosine transform, with the same power in all blocks. So
the blocks with the least power at the lowest frequencies are chosen, and their power at all others is that of the
noise. It is noise if these powers scatter as the chi-squared distribution of so many coefficients does, and if the
coefficients are Gaussian. In textures the power differs from block to block, and the coefficients have heavier tails
(M. Wainwright and E. Simoncelli, "Scale mixtures of Gaussians and the statistics of natural images", NIPS 12, 2000). A
texture that fills a picture evenly can pass; then the picture has little other contrast, or more power at middle
frequencies than at low ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.parts.repair.dct import SIDE, dct_matrix, transform

Floats = NDArray[np.float32]
Values = NDArray[np.float64]
MAX_BLOCKS = 4500
"""Approximate largest number of blocks; they are evenly spread."""
STRIDES = (12, 20)
"""Distance of the blocks in small and in large pictures. Not a multiple of 8, so that blocks lie in several ways in the
blocks of a JPEG file."""
SMALL_PICTURE = 250_000
"""Pixels of a small picture, at most."""
DARKEST, BRIGHTEST, MAX_EXTREME = 4 / 255, 1 - 4 / 255, 0.05
"""Largest share of values beyond the first two in a usable block: noise that was clipped is less."""
MIN_USABLE, MIN_FLAT = 100, 20
"""Smallest number of usable blocks, and of measured ones."""
SHARES = (0.05, 0.12)
"""Shares of the blocks that are measured, tried in this order: those with the least power at the lowest frequencies."""
_RADIUS = np.hypot(*np.mgrid[:SIDE, :SIDE])
_RING = np.minimum(_RADIUS.round().astype(int), SIDE)
LOWEST_BAND = (_RADIUS > 0) & (_RADIUS < 2.3)
LOWER_BAND, MIDDLE_BAND = (_RADIUS >= 2.3) & (_RADIUS < 4.5), (_RADIUS >= 4.5) & (_RADIUS < 7)
"""Frequencies that choose the blocks, and those at which the powers are tested; grain of 3 pixels ends there."""
TENTH, NINETIETH = -1.2816, 1.2816
"""Standard normal quantiles."""
MAX_UPPER, MIN_LOWER = 1.3, (0.84, 0.74)
"""The standard deviation of the blocks at the 90th percentile, and at the 10th, over that at the 50th, is that of the
chi-squared distribution times at most, and at least, this (in the two bands; JPEG empties some blocks)."""
MAX_KURTOSIS = 5.2
"""Largest kurtosis of the coefficients; Gaussian ones have 3."""
MIN_RISE = (0.58, 0.8)
"""Smallest standard deviation in the chosen band over the next (0.68 if they are equal, because of the choice), and
there over the one that follows. Woven fabric has 0.4 to 0.5 and 0.5 to 0.8, because it is periodic."""
MIN_CONTRAST = 16.0
"""Smallest range (10th to 90th percentile) of the coefficients of frequency 0, over the standard deviation in the lower
band. Foliage, grass and gravel that fill a picture have 5 to 10, photographs with grain of 0.1 have 25 and more."""
MAX_WHITE = 0.75
"""Noise is white if its power, over that of white noise with the same power at low frequencies, exceeds this."""
MIN_QUIET = 0.25
"""Smallest power of the quietest blocks with a clipped channel, over that of the noise."""
MIN_CHROMA = 0.05
"""Chroma noise of less than this share of the power of luma noise is left out of that comparison."""
VISIBLE = _RADIUS < SIDE / 2
"""Frequencies up to a quarter of a cycle per pixel."""


@dataclass(frozen=True)
class NoiseSpectrum:
    """Noise of any spectrum."""

    spectrum: Floats
    """(3, S, S): standard deviation of each DCT coefficient of luma and of the two chroma axes."""
    white: bool
    """It has about the same power at all frequencies, in luma and chroma."""
    size: int
    """About the width of the grain in pixels."""

    @property
    def std(self) -> float:
        """Standard deviation, mean over the channels."""
        return float(np.sqrt(np.square(self.spectrum).mean()))

    @property
    def visible(self) -> float:
        """Standard deviation of white noise that has the same power at frequencies up to 1/4 per pixel."""
        return float(np.sqrt(np.square(self.spectrum[:, VISIBLE]).mean()))


def measure_correlated(pixels: Pixels) -> NoiseSpectrum | None:
    """The noise of a photograph (3, H, W) in [0, 1]; None if there is none, or if it cannot be told from texture."""
    blocks, partly_clipped = usable_blocks(pixels)
    if len(blocks) < MIN_USABLE:
        return None
    rotated = np.einsum("ij,njhw->inhw", LUMA_CHROMA_AXES.astype(np.float32), blocks)
    coefficients = [transform(np.ascontiguousarray(axis), dct_matrix(SIDE)) for axis in rotated]
    for share in SHARES:
        if is_noise(coefficients[0], flat_blocks(coefficients[0], share)):
            noise = spectrum_of(np.stack([ring_powers(axis[flat_blocks(axis, share)]) for axis in coefficients]))
            return None if is_quiet(partly_clipped, noise) else noise
    return None


def spectrum_of(rings: Values) -> NoiseSpectrum:
    """The noise with these powers (3, S + 1) at each distance from frequency 0."""
    power, low = rings[:, _RING].mean((1, 2)), rings[:, 2:5].mean(1)
    noticeable = low > MIN_CHROMA * low[0]
    white = bool((power > MAX_WHITE * low)[noticeable].all())
    radius = np.sqrt((rings[0][_RING] * np.square(_RADIUS)).mean() / max(float(power[0]), 1e-12))
    size = max(1, round(2 * SIDE / (np.pi * radius)))  # twice the standard deviation of a Gaussian filter
    return NoiseSpectrum(np.sqrt(rings[:, _RING]).astype(np.float32), white, size)


def usable_blocks(pixels: Pixels) -> tuple[Floats, Floats]:
    """Evenly spread blocks (N, 3, S, S) of a photograph in which little is nearly black or white.

    Second, the channels (M, S, S) of which that holds in blocks of which it does not.
    """
    height, width = pixels.shape[1:]
    if min(height, width) < SIDE:
        return np.empty((0, 3, SIDE, SIDE), np.float32), np.empty((0, SIDE, SIDE), np.float32)
    stride = STRIDES[height * width > SMALL_PICTURE]
    stride = max(stride, int(np.ceil(np.sqrt(height * width / MAX_BLOCKS) / 4)) * 4)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (SIDE, SIDE), axis=(1, 2))[:, ::stride, ::stride]
    blocks = np.ascontiguousarray(windows.transpose(1, 2, 0, 3, 4), np.float32).reshape(-1, 3, SIDE, SIDE)
    clear = ((blocks <= DARKEST) | (blocks >= BRIGHTEST)).mean((2, 3)) <= MAX_EXTREME
    usable = clear.all(1)
    return blocks[usable], blocks[~usable][clear[~usable]]


def is_quiet(channels: Floats, noise: NoiseSpectrum) -> bool:
    """Whether blocks of one channel (M, S, S) have clearly less power than the noise: a saturated clean background."""
    if len(channels) < MIN_FLAT:
        return False
    powers = np.square(transform(channels, dct_matrix(SIDE))[:, LOWER_BAND]).mean(1)
    expected = np.square(noise.spectrum[:, LOWER_BAND]).mean()  # mean over the axes is that over the channels
    return bool(np.quantile(powers, 0.1) < MIN_QUIET * expected * chi_squared(int(LOWER_BAND.sum()), TENTH))


def flat_blocks(coefficients: Floats, share: float) -> NDArray[np.intp]:
    """Indices of the blocks with the least power at the lowest frequencies, from their coefficients (N, S, S)."""
    power = np.square(coefficients[:, LOWEST_BAND]).mean(1)
    return np.argsort(power)[: max(MIN_FLAT, int(share * len(power)))]


def is_noise(coefficients: Floats, flat: NDArray[np.intp]) -> bool:
    """Whether the flat ones among the blocks (N, S, S) hold stationary noise, from their DCT coefficients."""
    bands = [coefficients[flat][:, band] for band in (LOWEST_BAND, LOWER_BAND, MIDDLE_BAND)]
    powers = [np.square(band).mean(1) + 1e-12 for band in bands]
    levels = [median_std(power, band.shape[1]) for power, band in zip(powers, bands, strict=True)]
    if min(levels) < 1e-3:  # a quarter of one of 255 levels
        return False
    low, high = np.quantile(coefficients[:, 0, 0], [0.1, 0.9])
    if levels[0] < MIN_RISE[0] * levels[1] or levels[1] < MIN_RISE[1] * levels[2]:
        return False
    if high - low < MIN_CONTRAST * levels[1]:
        return False
    for power, band, least in zip(powers[1:], bands[1:], MIN_LOWER, strict=True):
        tenth, half, ninetieth = np.quantile(power, [0.1, 0.5, 0.9])
        count = band.shape[1]
        lower, upper = (chi_squared(count, z) / chi_squared(count, 0) for z in (TENTH, NINETIETH))
        if tenth < least**2 * lower * half or ninetieth > MAX_UPPER**2 * upper * half:
            return False
    scaled = np.square(bands[1]) / np.square(bands[1]).mean(0)
    return bool(np.square(scaled).mean() <= MAX_KURTOSIS)


def chi_squared(count: int, z: float) -> float:
    """Quantile of the mean of `count` squares of standard normal values; z is that of the normal distribution.

    E. Wilson and M. Hilferty, "The distribution of chi-square", PNAS 17 (1931).
    """
    spread = 2 / (9 * count)
    return float((1 - spread + z * np.sqrt(spread)) ** 3)


def median_std(power: Floats, count: int) -> float:
    """Standard deviation of Gaussian coefficients, from the mean squares of `count` of them in many blocks."""
    return float(np.sqrt(np.median(power) / chi_squared(count, 0)))


def ring_powers(coefficients: Floats) -> Values:
    """Power (S + 1,) of noise at each distance from frequency 0, from coefficients (N, S, S) of flat blocks.

    The lowest frequencies, where structure remains, continue the others as a Gaussian does.
    """
    squares = np.square(coefficients)
    powers = np.zeros(SIDE + 1)
    for ring in range(2, SIDE + 1):
        inside = ring == _RING
        powers[ring] = median_std(squares[:, inside].mean(1), int(inside.sum())) ** 2
    slope = np.clip(np.log(max(powers[3], 1e-12) / max(powers[5], 1e-12)) / (5**2 - 3**2), 0, 0.11)
    powers[:3] = powers[3] * np.exp(slope * (9 - np.arange(3) ** 2))
    return powers
