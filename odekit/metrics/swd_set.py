"""The metric `swd`: `odekit.metrics.swd` on sets of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from odekit.errors import InputError
from odekit.image import Image
from odekit.interfaces import Tools
from odekit.metrics.sets import Distance, Sample
from odekit.metrics.swd import between, check, pyramids
from odekit.options import Options

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
