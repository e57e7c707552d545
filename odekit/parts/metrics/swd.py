"""Sliced Wasserstein distance between two sets of pictures, on patches of their Laplacian pyramids.

Karras et al., arXiv:1710.10196, section 5. Burt and Adelson's pyramid from the pictures' own side down to 16 pixels;
of every picture and level 128 patches of 7 x 7 pixels at random places; all patches of a set and level scaled to mean 0
and standard deviation 1 per colour; then the Wasserstein-1 distance of their projections on random directions, the mean
over 512 of them (Rabin et al. 2011, doi:10.1007/978-3-642-24785-9_37). As there, figures are times 1,000.

Small is alike. The figure depends on how many pictures are compared (fewer: larger), so only figures of equal numbers
compare. All in float64; the same seed gives the same places and directions.
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
from odekit.parts.metrics.base import Distance, Sample

SMALLEST = 16
PATCH = 7
KERNEL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
UNIT = 1000.0
BLOCK = 16
"""Pictures whose pyramids are made at a time: they stay in the processor's cache."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Swd:
    """One distance."""

    levels: dict[int, float]
    """By the side of the pyramid's level, largest first."""

    @property
    def mean(self) -> float:
        """The mean over the levels."""
        return float(np.mean(list(self.levels.values())))


def swd(a: NDArray[np.uint8], b: NDArray[np.uint8], seed: int = 0, patches: int = 128, directions: int = 512) -> Swd:
    """The distance between two sets of as many pictures, uint8 (N, S, S, 3), S = 16 times a power of two.

    Raises:
        InputError: sets of different numbers or sides, or a side that the pyramid does not have.
    """
    check(a, b)
    return between(pyramids(a), pyramids(b), seed, patches, directions)


def check(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
    """Raise InputError where `swd` would."""
    if a.shape != b.shape:
        raise InputError(f"sets of shapes {a.shape} and {b.shape}: SWD compares as many pictures of one side")
    side = a.shape[1]
    if a.ndim != 4 or a.shape[3] != 3 or a.shape[2] != side or side < SMALLEST or side & (side - 1) or not len(a):
        raise InputError(f"SWD needs square colour pictures of 16, 32, 64, ... pixels, not a set of shape {a.shape}")


def between(a: Sequence[Array], b: Sequence[Array], seed: int = 0, patches: int = 128, directions: int = 512) -> Swd:
    """The distance between two sets by their pyramids, for several draws from the same sets."""
    rng = np.random.Generator(np.random.Philox(seed))
    levels = {}
    for one, two in zip(a, b, strict=True):
        # Places are drawn for each set: the same ones in both would hide that patches of one place resemble.
        left, right = (descriptors(level, patches, rng) for level in (one, two))
        levels[one.shape[-1]] = UNIT * sliced(left, right, directions, rng)
    return Swd(levels)


def planes(pictures: NDArray[np.uint8]) -> Array:
    """uint8 (N, S, S, 3) as float64 (N, 3, S, S) in [0, 1]."""
    return pictures.transpose(0, 3, 1, 2).astype(np.float64) / 255


def pyramids(pictures: NDArray[np.uint8]) -> list[Array]:
    """`pyramid` of uint8 (N, S, S, 3); beside the result it takes memory for a few pictures only."""
    count, side = pictures.shape[:2]
    sides = [side]
    while sides[-1] > SMALLEST:
        sides.append(sides[-1] // 2)
    levels = [np.empty((count, 3, s, s)) for s in sides]
    for start in range(0, count, BLOCK):
        for level, part in zip(levels, pyramid(planes(pictures[start : start + BLOCK])), strict=True):
            level[start : start + BLOCK] = part
    return levels


def pyramid(pictures: Array) -> list[Array]:
    """Laplacian pyramid of (N, 3, S, S), largest first; the last, of 16 pixels, is the Gaussian one's."""
    levels = [pictures]
    while levels[-1].shape[-1] > SMALLEST:
        small = reduce(levels[-1])
        levels[-1] = levels[-1] - expand(small)
        levels.append(small)
    return levels


def reduce(pictures: Array) -> Array:
    """Every second pixel of the smoothed pictures (edges mirrored)."""
    return smooth(pictures)[..., ::2, ::2]


def expand(pictures: Array) -> Array:
    """Twice the side: zeros between, smoothed, times 4."""
    *outer, height, width = pictures.shape
    wide = np.zeros((*outer, 2 * height, 2 * width))
    wide[..., ::2, ::2] = 4 * pictures
    return smooth(wide)


def smooth(pictures: Array) -> Array:
    """The 5 x 5 binomial kernel along the last two axes, edges mirrored about the last pixel."""
    for axis in (-2, -1):
        pad = [(0, 0)] * pictures.ndim
        pad[axis] = (2, 2)
        padded = np.pad(pictures, pad, mode="reflect")
        size, place = pictures.shape[axis], [slice(None)] * pictures.ndim
        pictures = np.zeros_like(pictures)
        for i, k in enumerate(KERNEL):
            place[axis] = slice(i, i + size)
            pictures += k * padded[tuple(place)]
    return pictures


def descriptors(level: Array, patches: int, rng: np.random.Generator) -> Array:
    """Patches (N * patches, 147) at random places, scaled to mean 0 and standard deviation 1 per colour."""
    room = level.shape[-1] - PATCH + 1
    windows = np.lib.stride_tricks.sliding_window_view(level, (PATCH, PATCH), axis=(2, 3))
    picture = np.repeat(np.arange(len(level)), patches)
    y, x = rng.integers(0, room, (2, len(picture)))
    found: Array = windows[picture, :, y, x]
    found -= found.mean((0, 2, 3), keepdims=True)
    spread = found.std((0, 2, 3), keepdims=True)
    found /= np.where(spread > 0, spread, 1.0)
    return found.reshape(len(picture), -1)


def sliced(a: Array, b: Array, directions: int, rng: np.random.Generator, at_once: int = 64) -> float:
    """Mean over random directions of the Wasserstein-1 distance between the projected sets (n, d) and (n, d)."""
    total = 0.0
    for start in range(0, directions, at_once):
        way = rng.standard_normal((min(at_once, directions - start), a.shape[1]))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        total += float(np.abs(np.sort(way @ a.T, axis=1) - np.sort(way @ b.T, axis=1)).mean(1).sum())
    return total / directions


def repeated(a: NDArray[np.uint8], b: NDArray[np.uint8], draws: int = 8, seed: int = 0) -> Sequence[Swd]:
    """`draws` distances, each with its own places and directions and, where b has more pictures, its own part of b."""
    out = []
    for draw in range(draws):
        rng = np.random.Generator(np.random.Philox(key=[seed, draw + 1]))
        part = b if len(b) == len(a) else b[np.sort(rng.permutation(len(b))[: len(a)])]
        out.append(swd(a, part, seed=int(rng.integers(2**31))))
    return out


DESCRIPTORS = {False: 16384, True: 4096}
"""Patches of a set and level at most, for a whole and for one of its parts: beyond, every picture gives fewer."""
SHARE = {False: 1, True: 2}
"""Of a part half as many pairs are kept, whose patches are fewer anyway."""


class SwdOptions(Options):
    """Options of the metric `swd`."""

    part = "swd"
    draws: int = Field(default=2, ge=1, le=64)
    """Distances with their own places and directions; the value is their mean."""
    patches: int = Field(default=128, ge=1, le=4096)
    """Of every picture and level, where not more than 16,384 come together (4,096 for one damage of several)."""
    directions: int = Field(default=128, ge=1, le=4096)
    """Of projection; more steady the figure, they do not move it."""
    seed: int = Field(default=0, ge=0)


class SwdMetric:
    """Sliced Wasserstein distance on Laplacian pyramids, times 1,000; two square pictures or more.

    Of more than 1,024 pairs (512 of one damage among several; fewer where pictures are large) a random part is taken.
    """

    lower_is_better = True
    label: ClassVar[str] = "SWD"
    unit: ClassVar[str] = "x 1e-3"

    def __init__(self, options: SwdOptions | None = None, tools: Tools | None = None) -> None:
        self.options = options or SwdOptions()

    def collect(self, part: bool = False) -> SwdCollection:
        """Two empty sets."""
        return SwdCollection(self.options, DESCRIPTORS[part], SHARE[part])


class SwdCollection:
    """Two sets in the making."""

    def __init__(self, options: SwdOptions, most: int, share: int) -> None:
        self.options, self.most = options, most
        self.sample = Sample(options.seed, share)

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Take in pairs."""
        for a, b in zip(restored, reference, strict=True):
            self.sample.add(a, b)

    def distance(self) -> Distance:
        """The mean over the draws; unknown for one picture, and for pictures that have no pyramid."""
        pairs, seen = self.sample.pairs, self.sample.seen
        if len(pairs) < 2:
            return Distance.unknown(seen, "a distance of sets needs two pictures or more")
        if len(self.sample.sides()) > 1:
            return Distance.unknown(seen, "SWD needs pictures of one size")
        a, b = (np.stack([pair[i] for pair in pairs]) for i in (0, 1))
        try:
            check(a, b)
        except InputError as error:
            return Distance.unknown(seen, str(error))
        options, sets = self.options, [pyramids(pictures) for pictures in (a, b)]
        patches = min(options.patches, max(1, self.most // len(pairs)))
        seeds = range(options.seed, options.seed + options.draws)
        found = [between(sets[0], sets[1], seed, patches, options.directions).mean for seed in seeds]
        note = f"of {len(pairs)} pairs drawn from {seen}" if seen > len(pairs) else ""
        return Distance(float(np.mean(found)), float(np.std(found, ddof=1)) if len(found) > 1 else None, seen, note)
