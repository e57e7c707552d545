"""Sliced Wasserstein distance between two sets of pictures, on patches of their Laplacian pyramids.

Karras et al., arXiv:1710.10196, section 5. Burt and Adelson's pyramid goes from the pictures' side down to 16 pixels.
From every picture and level, 128 patches of 7 x 7 pixels are drawn at random positions. All patches of a set and level
are normalised to mean 0 and standard deviation 1 per colour. The distance is the mean over 512 random directions of the
Wasserstein-1 distance between the projections (Rabin et al. 2011, doi:10.1007/978-3-642-24785-9_37), times 1,000 as in
the paper.

Smaller values mean more similar sets. The value grows as the number of pictures falls, so only values for equal numbers
can be compared. Everything is in float64; the seed fixes positions and directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.errors import InputError
from odekit.parts.metrics.base import ReservoirSample, SetDistance

MIN_SIDE = 16
"""Side of the smallest level of the pyramid."""
PATCH_SIDE = 7
"""Side of the patches."""
KERNEL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
SCALE = 1000.0
"""Factor on distances."""
PYRAMID_BATCH = 16
"""Number of pictures whose pyramids are computed at once, so that they fit the processor's cache."""
MAX_PATCHES = {False: 16384, True: 4096}
"""Largest number of patches per set and level, for all pictures (False) and for a part of them (True). With more
pictures, fewer patches are drawn from each."""
SAMPLE_DIVISOR = {False: 1, True: 2}
"""Divisor of the number of pairs that are kept: a part keeps half as many, because it uses fewer patches."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class SwdResult:
    """Sliced Wasserstein distance of two sets."""

    levels: dict[int, float]
    """Distance for the side of each level of the pyramid, largest first."""

    @property
    def mean(self) -> float:
        """The mean over the levels."""
        return float(np.mean(list(self.levels.values())))


def sliced_wasserstein(
    a: NDArray[np.uint8], b: NDArray[np.uint8], seed: int = 0, patches: int = 128, directions: int = 512
) -> SwdResult:
    """The distance between two sets of equal size, uint8 (N, S, S, 3), S = 16 times a power of two.

    Raises:
        InputError: the sets have different numbers or sides, or there is no pyramid for the side.
    """
    check_sets(a, b)
    return pyramid_distance(pyramids(a), pyramids(b), seed, patches, directions)


def check_sets(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
    """Check that two sets are valid for `sliced_wasserstein`.

    Raises:
        InputError: they are not.
    """
    if a.shape != b.shape:
        raise InputError(f"sets of shapes {a.shape} and {b.shape}: SWD needs equal numbers of pictures of one side")
    side = a.shape[1]
    if a.ndim != 4 or a.shape[3] != 3 or a.shape[2] != side or side < MIN_SIDE or side & (side - 1) or not len(a):
        raise InputError(f"SWD needs square colour pictures of 16, 32, 64, ... pixels, not a set of shape {a.shape}")


def pyramid_distance(
    a: Sequence[Array], b: Sequence[Array], seed: int = 0, patches: int = 128, directions: int = 512
) -> SwdResult:
    """The distance between the pyramids of two sets; allows several draws without new pyramids."""
    rng = np.random.Generator(np.random.Philox(seed))
    levels = {}
    for level_a, level_b in zip(a, b, strict=True):
        # Positions are drawn for each set: with equal positions, the similarity of patches at one position would make
        # the distance too small.
        descriptors_a, descriptors_b = (descriptors(level, patches, rng) for level in (level_a, level_b))
        levels[level_a.shape[-1]] = SCALE * sliced_distance(descriptors_a, descriptors_b, directions, rng)
    return SwdResult(levels)


def to_planes(pictures: NDArray[np.uint8]) -> Array:
    """uint8 (N, S, S, 3) as float64 (N, 3, S, S) in [0, 1]."""
    return pictures.transpose(0, 3, 1, 2).astype(np.float64) / 255


def pyramids(pictures: NDArray[np.uint8]) -> list[Array]:
    """`pyramid` of uint8 (N, S, S, 3), computed in blocks to save memory."""
    count, side = pictures.shape[:2]
    sides = [side]
    while sides[-1] > MIN_SIDE:
        sides.append(sides[-1] // 2)
    levels = [np.empty((count, 3, s, s)) for s in sides]
    for start in range(0, count, PYRAMID_BATCH):
        for level, part in zip(levels, pyramid(to_planes(pictures[start : start + PYRAMID_BATCH])), strict=True):
            level[start : start + PYRAMID_BATCH] = part
    return levels


def pyramid(pictures: Array) -> list[Array]:
    """Laplacian pyramid of (N, 3, S, S), largest level first; the last level, of 16 pixels, is Gaussian."""
    levels = [pictures]
    while levels[-1].shape[-1] > MIN_SIDE:
        small = reduce_half(levels[-1])
        levels[-1] = levels[-1] - expand_double(small)
        levels.append(small)
    return levels


def reduce_half(pictures: Array) -> Array:
    """Half the side: every second pixel of the smoothed pictures."""
    return smooth(pictures)[..., ::2, ::2]


def expand_double(pictures: Array) -> Array:
    """Twice the side: zeros are inserted, and the result is smoothed and multiplied by 4."""
    *outer, height, width = pictures.shape
    upsampled = np.zeros((*outer, 2 * height, 2 * width))
    upsampled[..., ::2, ::2] = 4 * pictures
    return smooth(upsampled)


def smooth(pictures: Array) -> Array:
    """Convolution with the 5 x 5 binomial kernel over the last two axes; edges are mirrored without repetition."""
    for axis in (-2, -1):
        pad = [(0, 0)] * pictures.ndim
        pad[axis] = (2, 2)
        padded = np.pad(pictures, pad, mode="reflect")
        size, index = pictures.shape[axis], [slice(None)] * pictures.ndim
        pictures = np.zeros_like(pictures)
        for i, k in enumerate(KERNEL):
            index[axis] = slice(i, i + size)
            pictures += k * padded[tuple(index)]
    return pictures


def descriptors(level: Array, patches: int, rng: np.random.Generator) -> Array:
    """Patches (N * patches, 147) at random positions, normalised to mean 0 and standard deviation 1 per colour."""
    positions = level.shape[-1] - PATCH_SIDE + 1
    windows = np.lib.stride_tricks.sliding_window_view(level, (PATCH_SIDE, PATCH_SIDE), axis=(2, 3))
    picture = np.repeat(np.arange(len(level)), patches)
    y, x = rng.integers(0, positions, (2, len(picture)))
    rows: Array = windows[picture, :, y, x]
    rows -= rows.mean((0, 2, 3), keepdims=True)
    spread = rows.std((0, 2, 3), keepdims=True)
    rows /= np.where(spread > 0, spread, 1.0)
    return rows.reshape(len(picture), -1)


def sliced_distance(a: Array, b: Array, directions: int, rng: np.random.Generator, at_once: int = 64) -> float:
    """Mean over random directions of the Wasserstein-1 distance between the projected sets (n, d) and (n, d)."""
    total = 0.0
    for start in range(0, directions, at_once):
        basis = rng.standard_normal((min(at_once, directions - start), a.shape[1]))
        basis /= np.linalg.norm(basis, axis=1, keepdims=True)
        total += float(np.abs(np.sort(basis @ a.T, axis=1) - np.sort(basis @ b.T, axis=1)).mean(1).sum())
    return total / directions


def repeated_distances(
    a: NDArray[np.uint8], b: NDArray[np.uint8], draws: int = 8, seed: int = 0
) -> Sequence[SwdResult]:
    """Several distances, each with its own random positions, directions, and subset of b if b is larger than a."""
    out = []
    for draw in range(draws):
        rng = np.random.Generator(np.random.Philox(key=[seed, draw + 1]))
        part = b if len(b) == len(a) else b[np.sort(rng.permutation(len(b))[: len(a)])]
        out.append(sliced_wasserstein(a, part, seed=int(rng.integers(2**31))))
    return out


class SwdOptions(Options):
    """Options of the metric `swd`."""

    part = "swd"
    draws: int = Field(default=2, ge=1, le=64)
    """Number of random draws; the value is the mean over them."""
    patches: int = Field(default=128, ge=1, le=4096)
    """Patches per picture and level; fewer if a set would have more than 16,384 (4,096 for one kind of damage among
    several)."""
    directions: int = Field(default=128, ge=1, le=4096)
    """Number of random directions; more reduce the variance of the value, not its mean."""
    seed: int = Field(default=0, ge=0)
    """Seed of positions, directions and sampled pairs."""


class SwdMetric:
    """Sliced Wasserstein distance on Laplacian pyramids, times 1,000, of two or more square pictures.

    With more than 1,024 pairs (512 for one kind of damage among several; fewer if pictures are large), a random sample
    is used.
    """

    lower_is_better = True
    label: ClassVar[str] = "SWD"
    unit: ClassVar[str] = "x 1e-3"

    def __init__(self, options: SwdOptions | None = None, tools: Tools | None = None) -> None:
        self.options = options or SwdOptions()

    def collect(self, part: bool = False) -> SwdCollection:
        """Two empty sets."""
        return SwdCollection(self.options, MAX_PATCHES[part], SAMPLE_DIVISOR[part])


class SwdCollection:
    """Samples of two sets."""

    def __init__(self, options: SwdOptions, most: int, share: int) -> None:
        """Two empty sets.

        Args:
            options: of the metric.
            most: largest number of patches per set and level.
            share: divisor of the number of pairs that are kept.
        """
        self.options, self.most = options, most
        self.sample = ReservoirSample(options.seed, share)

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Add pairs of pictures."""
        for a, b in zip(restored, reference, strict=True):
            self.sample.add(a, b)

    def distance(self) -> SetDistance:
        """The mean over the draws; unknown for one picture, and for pictures without a pyramid."""
        pairs, seen = self.sample.pairs, self.sample.count
        if len(pairs) < 2:
            return SetDistance.unknown(seen, "a distance of sets needs two pictures or more")
        if len(self.sample.sides()) > 1:
            return SetDistance.unknown(seen, "SWD needs pictures of one size")
        a, b = (np.stack([pair[i] for pair in pairs]) for i in (0, 1))
        try:
            check_sets(a, b)
        except InputError as error:
            return SetDistance.unknown(seen, str(error))
        options, sets = self.options, [pyramids(pictures) for pictures in (a, b)]
        patches = min(options.patches, max(1, self.most // len(pairs)))
        seeds = range(options.seed, options.seed + options.draws)
        values = [pyramid_distance(sets[0], sets[1], seed, patches, options.directions).mean for seed in seeds]
        note = f"of {len(pairs)} pairs drawn from {seen}" if seen > len(pairs) else ""
        return SetDistance(
            float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None, seen, note
        )
