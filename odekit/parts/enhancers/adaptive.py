"""`iterations: auto`: readings of the inverted latent choose the strength of the Langevin updates for each image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from odekit.core.grid import Levels
from odekit.core.interfaces import Enhancer, Latent, Prior, State
from odekit.core.noise import Rng, array_to_device_of, array_to_tensor_like
from odekit.errors import ConfigError
from odekit.parts.enhancers.calibration import Strength, StrengthDecision
from odekit.parts.enhancers.damage_meter import batch_damage_readings
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer, step_size


def make_langevin(options: Langevin) -> Enhancer:
    """Factory of `langevin`."""
    return AutoLangevin(options) if options.auto else LangevinEnhancer(options)


class AutoLangevin:
    """Langevin updates whose number, levels and temperature are chosen for each image (see `adapt`)."""

    def __init__(self, options: Langevin | None = None) -> None:
        self.options = options or Langevin(iterations="auto")
        self.calibration = self.options.calibration

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """All levels at which a row may be updated. Raises ConfigError as `Langevin.check` does."""
        self.options.check(levels)
        return self.options.acts_on(levels)

    def adapt(self, clean: State, latent: Latent, levels: Levels) -> FittedLangevin:
        """The enhancer for the images of a batch; the decision for an image does not depend on the others."""
        decisions = [self.calibration.decide(readings) for readings in batch_damage_readings(clean, latent.x)]
        if self.options.strength != "auto":
            given = self.options.strength != "given"
            chosen = self.calibration.strength_named(self.options.strength if given else "none")
            decisions = [replace(decision, strength=chosen, given=given) for decision in decisions]
        return FittedLangevin(self.options, decisions)

    def check_prior(self, digest: str | None) -> None:
        """Check that the calibration was made for the prior with these weights. Raises ConfigError if not."""
        self.calibration.check_prior(digest)

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """Raises ConfigError: the strength is not chosen yet; call `enhance` of the enhancer that `adapt` returns."""
        raise ConfigError("iterations: auto chooses after the inversion; use 'odekit.edit.edit', or call 'adapt' first")


class FittedLangevin:
    """Langevin updates with a strength for each row. An update calls the prior only for rows that still need it."""

    def __init__(self, options: Langevin, decisions: Sequence[StrengthDecision]) -> None:
        self.decisions = list(decisions)
        self.strengths = [self._strength(options, decision.strength) for decision in decisions]
        self.options = options

    @property
    def unchanged_rows(self) -> list[int]:
        """Rows without updates, whose decoding would only undo the inversion."""
        return [row for row, strength in enumerate(self.strengths) if not strength.iterations]

    def calls(self, row: int, levels: Levels) -> int:
        """Network calls of a row: its updates over all levels."""
        return self.strengths[row].iterations * len(self._levels(row, levels))

    def _strength(self, options: Langevin, decided: Strength) -> Strength:
        """The decided strength, with the temperature of the options if they set one."""
        if not decided.iterations or options.temperature is None:
            return decided
        return replace(decided, temperature=options.temperature)

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """All levels at which some row is updated."""
        return frozenset(level for row in range(len(self.strengths)) for level in self._levels(row, levels))

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The updates at one level. Each row gets its own number of updates."""
        updated = [row for row in range(len(self.strengths)) if level in self._levels(row, levels)]
        t, sigma, x = levels.t[level], levels.sigma(level), x.clone()
        fixed = None if self.options.step is None else step_size(self.options, level, levels)
        done = 0
        for count in sorted({self.strengths[row].iterations for row in updated}):
            rows = [row for row in updated if self.strengths[row].iterations >= count]
            strengths = [self.strengths[row] for row in rows]
            steps = [strength.rate * sigma**2 if fixed is None else fixed for strength in strengths]
            stds = [math.sqrt(2 * a * strength.temperature) for a, strength in zip(steps, strengths, strict=True)]
            a, std = (array_to_tensor_like(np.array(values), x).view(-1, 1, 1, 1) for values in (steps, stds))
            index, noise = array_to_device_of(np.array(rows, np.int64), x), rng.select(rows)
            active = x.index_select(0, index)
            for _ in range(done, count):
                active = active - a / sigma * prior.eps(active, t) + std * noise.normal_like(active)
            x.index_copy_(0, index, active)
            done = count
        return x

    def _levels(self, row: int, levels: Levels) -> frozenset[int]:
        strength = self.strengths[row]
        if not strength.iterations:
            return frozenset()
        return levels.find(self.options.levels if self.options.levels is not None else strength.levels)
