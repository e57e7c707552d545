"""Variance-preserving noise levels: `x_t = sqrt(abar_t) x0 + sigma_t eps`, `sigma_t = sqrt(1 - abar_t)`.

Solvers work in `y = x / sqrt(abar)` against `rho = sigma / sqrt(abar)`, where the probability-flow ODE is
`dy/drho = eps` (DDIM, eq. 14 of arXiv:2010.02502; ODEdit, eq. 8). The image is at rho = 0. Timesteps run from 0 to
T-1 and may be fractional: between trained timesteps, t is interpolated linearly in log rho.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """The cumulative signal levels `abar` (T,): float64, strictly decreasing, all in (0, 1)."""

    abar: NDArray[np.float64]
    """Share of the image's variance at each timestep."""

    def __post_init__(self) -> None:
        """Check `abar`.

        Raises:
            ValueError: abar is not a strictly decreasing sequence of at least two numbers in (0, 1).
        """
        a = self.abar
        if a.ndim != 1 or a.size < 2 or not (np.all(np.diff(a) < 0) and a[-1] > 0 and a[0] < 1):
            raise ValueError("abar must be a strictly decreasing sequence of at least two numbers in (0, 1)")

    @classmethod
    def linear(cls, start: float = 1e-4, end: float = 0.02, steps: int = 1000) -> NoiseSchedule:
        """Linear betas (DDPM, arXiv:2006.11239, section 4)."""
        return cls.from_betas(np.linspace(start, end, steps, dtype=np.float64))

    @classmethod
    def scaled_linear(cls, start: float, end: float, steps: int = 1000) -> NoiseSchedule:
        """Betas whose square roots are linear (latent diffusion models)."""
        return cls.from_betas(np.linspace(math.sqrt(start), math.sqrt(end), steps, dtype=np.float64) ** 2)

    @classmethod
    def cosine(cls, steps: int = 1000, offset: float = 0.008, max_beta: float = 0.999) -> NoiseSchedule:
        """Cosine schedule (Nichol and Dhariwal, arXiv:2102.09672, eq. 17), betas capped at `max_beta`."""
        u = np.arange(steps + 1, dtype=np.float64) / steps
        f = np.cos((u + offset) / (1 + offset) * math.pi / 2) ** 2
        return cls.from_betas(np.minimum(1 - f[1:] / f[:-1], max_beta))

    @classmethod
    def from_betas(cls, betas: Sequence[float] | NDArray[np.float64]) -> NoiseSchedule:
        """From the noise variances `beta_t` of the steps: `abar_t = prod(1 - beta_s)` for s <= t."""
        alphas = 1.0 - np.asarray(betas, dtype=np.float64)
        return cls(np.cumprod(alphas, dtype=np.float64))

    def __len__(self) -> int:
        return int(self.abar.size)

    @cached_property
    def log_rho(self) -> NDArray[np.float64]:
        """log rho at each trained timestep, increasing."""
        return 0.5 * (np.log1p(-self.abar) - np.log(self.abar))

    @cached_property
    def timesteps(self) -> NDArray[np.float64]:
        """The trained timesteps 0 .. T-1 as an array, cached because every network call uses it."""
        return np.arange(len(self), dtype=np.float64)

    @property
    def sigma_ref(self) -> float:
        """sigma at the lowest trained timestep: 0.01 for linear betas from 1e-4. Step rules are relative to it."""
        return math.sqrt(1.0 - float(self.abar[0]))

    def rho(self, t: float) -> float:
        """rho at timestep t in [0, T-1] (fractions allowed)."""
        return math.exp(float(np.interp(t, self.timesteps, self.log_rho)))

    def timestep(self, rho: float) -> float:
        """The timestep of network calls at noise level `rho`; 0 at and below the lowest trained level."""
        if rho <= 0.0:
            return 0.0
        return float(np.interp(math.log(rho), self.log_rho, self.timesteps))

    def abar_at(self, t: float) -> float:
        """abar at timestep t in [0, T-1]; exact at integer timesteps, `1 / (1 + rho(t)^2)` between them."""
        return float(self.abar[int(t)]) if float(t).is_integer() else signal(self.rho(t)) ** 2


def signal(rho: float) -> float:
    """sqrt(abar) at rho: the factor of the clean image in x."""
    return 1.0 / math.sqrt(1.0 + rho * rho)


def sigma(rho: float) -> float:
    """sigma at rho: the factor of the noise in x."""
    return rho / math.sqrt(1.0 + rho * rho)
