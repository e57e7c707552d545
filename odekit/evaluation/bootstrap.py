"""Bootstrap intervals of means (Efron 1979, doi:10.1214/aos/1176344552): percentiles over resampled images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.parts.metrics.swd import sliced_wasserstein

Pictures = NDArray[np.uint8]
"""Images (N, S, S, 3)."""
LEVEL = 0.95
RESAMPLES = 2000
_BLOCK = 1 << 21
"""Random numbers drawn at a time."""
SWD_RESAMPLES, SWD_PATCHES, SWD_DIRECTIONS = 40, 64, 128
"""Resampled sets of `swd_ratio_upper_bound`, and the patches and directions of each distance."""


@dataclass(frozen=True)
class Mean:
    """The mean of the finite values, its interval, and the number of other values."""

    mean: float
    low: float
    """Ends of the 95 % interval; NaN for fewer than two values."""
    high: float
    count: int
    """Number of finite values."""
    infinite: int = 0
    """Number of infinite values (PSNR of equal images), which are left out."""
    undefined: int = 0
    """Number of NaN values, which are left out."""


def mean(values: Sequence[float] | NDArray[np.float64], seed: int = 0, resamples: int = RESAMPLES) -> Mean:
    """The mean of the finite values with its percentile bootstrap interval."""
    array = np.asarray(values, np.float64)
    finite = array[np.isfinite(array)]
    infinite, undefined = int(np.isinf(array).sum()), int(np.isnan(array).sum())
    if not len(finite):
        return Mean(math.nan, math.nan, math.nan, 0, infinite, undefined)
    centre = float(finite.mean())
    if len(finite) < 2:
        return Mean(centre, math.nan, math.nan, 1, infinite, undefined)
    low, high = interval(finite, seed, resamples)
    return Mean(centre, low, high, len(finite), infinite, undefined)


def difference(method: Sequence[float], baseline: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Mean:
    """The mean of method - baseline over the images where both are finite, with a paired bootstrap interval."""
    a, b = np.asarray(method, np.float64), np.asarray(baseline, np.float64)
    both = np.isfinite(a) & np.isfinite(b)
    return mean(a[both] - b[both], seed, resamples)


def interval(values: NDArray[np.float64], seed: int, resamples: int) -> tuple[float, float]:
    """The percentile interval of the mean of (n,) values; memory does not grow with resamples."""
    from scipy.stats import bootstrap

    result = bootstrap(
        (values,), np.mean, n_resamples=resamples, batch=max(1, _BLOCK // len(values)), vectorized=True,
        confidence_level=LEVEL, method="percentile", rng=np.random.Generator(np.random.Philox(seed)),
    )  # fmt: skip
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def swd_ratio_upper_bound(method: Pictures, baseline: Pictures, clean: Pictures) -> float:
    """The 97.5 % quantile of the ratio of the SWDs of method and baseline over resampled images."""
    rng = np.random.Generator(np.random.Philox(0))
    ratios = []
    for _ in range(SWD_RESAMPLES):
        sample = rng.integers(0, len(clean), len(clean))
        method_swd, baseline_swd = (
            sliced_wasserstein(pictures[sample], clean[sample], patches=SWD_PATCHES, directions=SWD_DIRECTIONS).mean
            for pictures in (method, baseline)
        )
        ratios.append(method_swd / baseline_swd)
    return float(np.quantile(ratios, 0.975))
