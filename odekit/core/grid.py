"""Grids of noise levels, between which solvers step. Index 0 is the lowest noise level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from odekit.core.schedule import NoiseSchedule, sigma, signal
from odekit.errors import ConfigError

GridName = Literal["uniform-t", "karras", "log-snr"]
"""How the levels of a grid are spaced; see `make_grid`."""


@dataclass(frozen=True)
class Levels:
    """N levels in order of increasing noise: `rho[i]`, and the timestep `t[i]` of network calls at that level.

    Level -1 is the image itself, at rho = 0.
    """

    rho: tuple[float, ...]
    """rho of each level, increasing."""
    t: tuple[float, ...]
    """The timestep of each level, which may be a fraction."""
    schedule: NoiseSchedule
    """The schedule that relates the two."""

    def __len__(self) -> int:
        return len(self.rho)

    def at(self, level: int) -> float:
        """rho of a level; 0 for level -1 (the image)."""
        return 0.0 if level < 0 else self.rho[level]

    def sigma(self, level: int) -> float:
        """sigma of a level."""
        return sigma(self.at(level))

    def signal(self, level: int) -> float:
        """sqrt(abar) of a level."""
        return signal(self.at(level))

    def find(self, requested: Sequence[int | float]) -> frozenset[int]:
        """Grid indices of levels given in options.

        Integers are grid indices. Decimals in [0, 1] are fractions of the schedule; the level nearest in t is used.

        Raises:
            ConfigError: an index or fraction outside the grid, or more than one step above its highest level.
        """
        return frozenset(self._find(level) for level in requested)

    def _find(self, requested: int | float) -> int:
        if isinstance(requested, int):
            if not 0 <= requested < len(self):
                raise ConfigError(f"level {requested} is not on the grid: indices run from 0 to {len(self) - 1}")
            return requested
        if not 0.0 <= requested <= 1.0:
            raise ConfigError(f"level {requested} is outside the schedule: fractions run from 0.0 to 1.0")
        target = requested * len(self.schedule)
        if target - self.t[-1] > max(self.t[-1] - self.t[-2], 1.0) + 1e-6:
            raise ConfigError(
                f"level {requested} lies above the grid, whose highest level is {self.t[-1] / len(self.schedule):.2g}; "
                f"raise the inverter's 'top'"
            )
        return min(range(len(self)), key=lambda i: abs(self.t[i] - target))


def make_grid(name: GridName, steps: int, schedule: NoiseSchedule, exponent: float = 7.0, top: float = 1.0) -> Levels:
    """A grid of `steps` levels over the lowest fraction `top` of the schedule.

    - `uniform-t`: timesteps floor(i T / steps), the grid of the paper ("leading" spacing in other libraries).
    - `karras`: rho^(1/exponent) uniform between the schedule's ends (Karras et al., arXiv:2206.00364, eq. 5).
    - `log-snr`: log rho uniform between the schedule's ends.

    Raises:
        ConfigError: fewer than 2 steps, or more than there are timesteps; a top outside (0, 1].
    """
    if not 0.0 < top <= 1.0:
        raise ConfigError(f"top is {top}: the fraction of the schedule that the grid spans is above 0 and at most 1")
    total = max(2, math.ceil(top * len(schedule)))
    if not 2 <= steps <= total:
        raise ConfigError(
            f"steps is {steps}: a grid has between 2 and {total} levels (the prior's timesteps)"
            + ("" if top == 1.0 else f" below top {top:g}")
        )
    if name == "uniform-t":
        t = [float(i * total // steps) for i in range(steps)]
        # From abar directly, so that integer timesteps have no interpolation error.
        rho = [math.sqrt((1 - schedule.abar[int(k)]) / schedule.abar[int(k)]) for k in t]
        return Levels(tuple(map(float, rho)), tuple(t), schedule)
    low, high = schedule.rho(0), schedule.rho(total - 1)
    if name == "karras":
        curve = np.linspace(low ** (1 / exponent), high ** (1 / exponent), steps) ** exponent
    else:
        curve = np.exp(np.linspace(math.log(low), math.log(high), steps))
    rho = [low, *(float(r) for r in curve[1:-1]), high]  # exact ends, without the rounding error of the powers
    return Levels(tuple(rho), tuple(schedule.timestep(r) for r in rho), schedule)
