"""Bootstrap intervals of means (Efron 1979, doi:10.1214/aos/1176344552): percentiles over resampled pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.metrics.swd import swd

LEVEL = 0.95
RESAMPLES = 2000
_BLOCK = 1 << 21
"""Draws made at a time."""
SWD_RESAMPLES, SWD_PATCHES, SWD_DIRECTIONS = 40, 64, 128
"""Of `worse_swd`: resampled sets, and the patches and directions of each distance."""


@dataclass(frozen=True)
class Mean:
    """The mean of what is finite, its interval, and how many values are not."""

    mean: float
    low: float
    """Ends of the 95 % interval; NaN for fewer than two values."""
    high: float
    count: int
    """Finite values, which the mean is of."""
    infinite: int = 0
    """Left out: PSNR of equal pictures."""
    undefined: int = 0
    """Left out: the metric has no value there (NaN)."""


def mean(values: Sequence[float] | NDArray[np.float64], seed: int = 0, resamples: int = RESAMPLES) -> Mean:
    """The mean of the finite values with its percentile bootstrap interval."""
    every = np.asarray(values, np.float64)
    finite = every[np.isfinite(every)]
    infinite, undefined = int(np.isinf(every).sum()), int(np.isnan(every).sum())
    if not len(finite):
        return Mean(math.nan, math.nan, math.nan, 0, infinite, undefined)
    centre = float(finite.mean())
    if len(finite) < 2:
        return Mean(centre, math.nan, math.nan, 1, infinite, undefined)
    low, high = interval(finite, seed, resamples)
    return Mean(centre, low, high, len(finite), infinite, undefined)


def difference(ours: Sequence[float], theirs: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Mean:
    """The mean of ours - theirs over the pictures where both are finite: a paired bootstrap."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    both = np.isfinite(a) & np.isfinite(b)
    return mean(a[both] - b[both], seed, resamples)


def interval(values: NDArray[np.float64], seed: int, resamples: int) -> tuple[float, float]:
    """The percentile interval of the mean of (n,) values; memory does not grow with resamples."""
    rng = np.random.Generator(np.random.Philox(seed))
    count = len(values)
    at_once = max(1, _BLOCK // count)
    means = [
        values[rng.integers(0, count, (min(at_once, resamples - start), count))].mean(1)
        for start in range(0, resamples, at_once)
    ]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def worse_swd(ours: Pictures, theirs: Pictures, clean: Pictures) -> float:
    """The 97.5 % quantile of the ratio of SWDs over resampled pictures."""
    rng = np.random.Generator(np.random.Philox(0))
    ratios = []
    for _ in range(SWD_RESAMPLES):
        which = rng.integers(0, len(clean), len(clean))
        here, there = (
            swd(made[which], clean[which], patches=SWD_PATCHES, directions=SWD_DIRECTIONS).mean
            for made in (ours, theirs)
        )
        ratios.append(here / there)
    return float(np.quantile(ratios, 0.975))
