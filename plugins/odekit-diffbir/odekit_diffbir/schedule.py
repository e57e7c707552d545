"""Noise levels of DiffBIR's latents: v1 and v2 predict the noise, v2.1 predicts v and ends at pure noise.

`x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps`, `v = sqrt(abar_t) eps - sqrt(1 - abar_t) x0`. Torch-free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from odekit.errors import ConfigError

Numbers = NDArray[np.float64]
STEPS = 1000
NO_SIGNAL = 1e-8
"""abar at the top of the official program's EDM grid; the corresponding sigma is 1e4."""


@dataclass(frozen=True)
class LatentSchedule:
    """The training schedule of Stable Diffusion, unchanged (`eps`) or rescaled to zero terminal SNR (`v`)."""

    predicts: Literal["eps", "v"]

    @cached_property
    def abar(self) -> Numbers:
        """Signal power at timesteps 0 .. 999, float64; the last is 0 if v is predicted."""
        betas = np.linspace(math.sqrt(8.5e-4), math.sqrt(0.012), STEPS, dtype=np.float64) ** 2
        abar: Numbers = np.cumprod(1 - betas, dtype=np.float64)
        return abar if self.predicts == "eps" else zero_terminal_snr(abar)

    @property
    def betas(self) -> Numbers:
        """Variance added per step."""
        out: Numbers = 1 - self.abar / np.append(1.0, self.abar[:-1])
        return out

    def edm(self, steps: int, forced_top: bool = False) -> tuple[list[float], list[int]]:
        """(sigmas, timesteps) from the top down, both ending in 0: sigma = sqrt((1 - abar) / abar).

        The official program always uses 1e4 at the top. That is correct for `v`, whose schedule ends at pure noise.
        Models that predict the noise were not trained beyond sigma = 14.6; their grid starts there unless `forced_top`
        is set.
        """
        at = np.linspace(STEPS - 1, 0, steps, endpoint=False).astype(int)
        abar = self.abar[at].copy()
        if self.predicts == "v" or forced_top:
            abar[0] = NO_SIGNAL
        sigmas = np.sqrt((1 - abar) / abar)
        return [*map(float, sigmas), 0.0], [*map(int, at), 0]


def zero_terminal_snr(abar: Numbers) -> Numbers:
    """sqrt(abar) shifted so that it ends at 0 and scaled so that it starts where it did (Lin et al., arXiv:2305.08891,
    algorithm 1).
    """
    root = np.sqrt(abar)
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    out: Numbers = root**2
    return out


def spaced_timesteps(steps: int) -> list[int]:
    """`steps` timesteps from 0 to 999, both included, rising. Raises ConfigError for fewer than 2 or over 1000."""
    if not 2 <= steps <= STEPS:
        raise ConfigError(f"the sampler 'spaced' needs 2 to {STEPS} steps, not {steps}")
    return official_spaced_timesteps(steps)


def official_spaced_timesteps(steps: int) -> list[int]:
    """The official rule: round(k 999 / (steps - 1)); one step gives only timestep 0, which is useless."""
    stride = (STEPS - 1) / (steps - 1) if steps > 1 else 1.0
    at, out = 0.0, []
    for _ in range(steps):
        out.append(round(at))
        at += stride
    return out


def ddim_timesteps(steps: int) -> list[int]:
    """1, 1 + 1000/steps, ..., rising.

    Raises:
        ConfigError: steps do not divide 1000; the official rule would return another number, or leave the schedule.
    """
    if not 2 <= steps <= STEPS // 2 or STEPS % steps:
        raise ConfigError(f"the sampler 'ddim' needs steps that divide {STEPS} (10, 20, 25, 40, 50, ...), not {steps}")
    return official_ddim_timesteps(steps)


def official_ddim_timesteps(steps: int) -> list[int]:
    """The official rule, which gives 31 timesteps for 30 and index 1000 for 3."""
    return [t + 1 for t in range(0, STEPS, STEPS // steps)]


def guidance(weight: float, t: int, rescaled: bool) -> float:
    """The weight of classifier-free guidance at timestep t.

    With `rescaled`, it increases from 1 to weight + 1 at the image: 1 + weight (1 - cos(pi ((1000 - t)/1000)^5)) / 2.
    """
    if not rescaled:
        return weight
    return 1 + weight * (1 - math.cos(math.pi * ((STEPS - t) / STEPS) ** 5)) / 2
