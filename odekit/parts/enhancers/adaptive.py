"""`iterations: auto`: a meter of damage reads the inverted latent and decides how strongly each picture is treated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from odekit.core.grid import Levels
from odekit.core.interfaces import Enhancer, Latent, Prior, State
from odekit.core.noise import Rng, to_device_of, to_tensor_like
from odekit.errors import ConfigError
from odekit.parts.enhancers.calibration import Decision, Strength
from odekit.parts.enhancers.damage_meter import read_latents
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer, step_size


def make(options: Langevin) -> Enhancer:
    """The factory of `langevin`."""
    return AutoLangevin(options) if options.auto else LangevinEnhancer(options)


class AutoLangevin:
    """Langevin updates whose number, levels and temperature are decided for each picture (see `fitted`)."""

    def __init__(self, options: Langevin | None = None) -> None:
        self.options = options or Langevin(iterations="auto")
        self.calibration = self.options.calibration

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """All levels at which a picture may be moved, after a check that they are on the grid."""
        self.options.check(levels)
        return self.options.acts_on(levels)

    def fitted(self, clean: State, latent: Latent, levels: Levels) -> FittedLangevin:
        """The updates for the pictures of a batch, row by row; the same for the same picture in any batch."""
        decisions = [self.calibration.decide(readings) for readings in read_latents(clean, latent.x)]
        return FittedLangevin(self.options, decisions)

    def belongs(self, digest: str | None) -> None:
        """Refuse a prior that the meter was not calibrated for, by its weights. Raises ConfigError."""
        self.calibration.belongs(digest)

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """Raises ConfigError: nothing was decided yet, since whoever calls this did not call `fitted`."""
        raise ConfigError("iterations: auto decides after the inversion; 'odekit.edit.edit' does so, or call 'fitted'")


class FittedLangevin:
    """Langevin updates with a strength for each row. In an update only the rows that still need it are moved."""

    def __init__(self, options: Langevin, decisions: Sequence[Decision]) -> None:
        self.decisions = list(decisions)
        self.plans = [self._plan(options, decision.strength) for decision in decisions]
        self.options = options

    @property
    def untouched(self) -> list[int]:
        """Rows that are left alone: the way down would only undo the way up."""
        return [row for row, plan in enumerate(self.plans) if not plan.iterations]

    def calls(self, row: int, levels: Levels) -> int:
        """Updates of a row over all levels."""
        return self.plans[row].iterations * len(self._levels(row, levels))

    def _plan(self, options: Langevin, decided: Strength) -> Strength:
        """What was decided, where the options do not say otherwise."""
        if not decided.iterations:
            return decided
        return decided if options.temperature is None else replace(decided, temperature=options.temperature)

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """All levels at which some row is moved."""
        return frozenset(level for row in range(len(self.plans)) for level in self._levels(row, levels))

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The updates at a level: row i gets as many as were decided for it."""
        acting = [row for row in range(len(self.plans)) if level in self._levels(row, levels)]
        t, sigma, x = levels.t[level], levels.sigma(level), x.clone()
        fixed = None if self.options.step is None else step_size(self.options, level, levels)
        done = 0
        for count in sorted({self.plans[row].iterations for row in acting}):
            rows = [row for row in acting if self.plans[row].iterations >= count]
            plans = [self.plans[row] for row in rows]
            steps = [plan.rate * sigma**2 if fixed is None else fixed for plan in plans]
            spreads = [math.sqrt(2 * a * plan.temperature) for a, plan in zip(steps, plans, strict=True)]
            a, spread = (to_tensor_like(np.array(values), x).view(-1, 1, 1, 1) for values in (steps, spreads))
            where, noise = to_device_of(np.array(rows, np.int64), x), rng.pick(rows)
            here = x.index_select(0, where)
            for _ in range(done, count):
                here = here - a / sigma * prior.eps(here, t) + spread * noise.normal_like(here)
            x.index_copy_(0, where, here)
            done = count
        return x

    def _levels(self, row: int, levels: Levels) -> frozenset[int]:
        plan = self.plans[row]
        if not plan.iterations:
            return frozenset()
        return levels.find(self.options.levels if self.options.levels is not None else plan.levels)
