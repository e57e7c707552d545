"""Langevin updates of a latent (ODEdit, Algorithm 1, and eq. 5)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field as Limits

from odekit.errors import ConfigError
from odekit.grids import Levels
from odekit.interfaces import Prior, State
from odekit.options import Options
from odekit.rng import Rng

PRESETS = {"light": 100, "medium": 200, "heavy": 300}
"""Iterations per level that the paper calls for light, medium and heavy damage."""


class Langevin(Options):
    """Options of the enhancer `langevin`."""

    part = "langevin"
    levels: list[int | float] = Limits(default=[0.0, 0.08, 0.16, 0.25], min_length=1)
    """Where to act: integers are grid indices, decimals fractions of the schedule. The paper's are 0, 0.25, 0.5, 0.75,
    the upper two of which replace the person (chain `odedit-paper`)."""
    iterations: int | Literal["light", "medium", "heavy"] = Limits(default=100)
    """Updates per level; `light`, `medium`, `heavy` are 100, 200, 300."""
    step: float = Limits(default=1e-6, gt=0)
    """The paper's epsilon; what it multiplies is the rule's business."""
    rule: Literal["literal", "variance", "constant", "code"] = "variance"
    """Step size a at a level: `literal` step * sigma/sigma_ref (as printed), `variance` step * sigma^2/sigma_ref^2,
    `constant` step, `code` step * g with g geometric from 100 at the lowest level of the grid to 1 at the highest."""
    temperature: float = Limits(default=0.6, ge=0)
    """Variance of the noise relative to the drift's own; 0 is gradient ascent, the paper's 1/3 smooths, 1 samples."""

    rounds: int = Limits(default=1, ge=1)
    """The iterations are split into so many rounds of equal length; what is left over is not done."""
    decay: float = Limits(default=1.0, gt=0, le=1)
    """What the step is multiplied by from round to round (CODE: 0.8 over 4 rounds)."""
    finish: Literal["noisy", "clean"] = "noisy"
    """`clean` ends each round with one update more, without noise (CODE)."""

    @property
    def count(self) -> int:
        """Iterations per level as a number."""
        return self.iterations if isinstance(self.iterations, int) else PRESETS[self.iterations]

    @property
    def updates(self) -> list[tuple[float, bool]]:
        """The updates at one level in order: what the step is multiplied by, and whether noise is added."""
        one = [True] * (self.count // self.rounds) + [False] * (self.finish == "clean")
        return [(self.decay**number, noisy) for number in range(self.rounds) for noisy in one]

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The grid indices at which the latent is moved."""
        return levels.find(self.levels)

    def calls(self, levels: Levels) -> int:
        """Network calls per image."""
        return len(self.updates) * len(self.acts_on(levels))

    def check(self, levels: Levels) -> None:
        """Refuse what cannot work on this grid.

        Raises:
            ConfigError: no iterations, or fewer than rounds; a level outside the grid; a step that is unstable there
                (a >= 2 sigma^2).
        """
        if self.count < 1:
            raise ConfigError(f"iterations is {self.count}: at least 1 (to leave the latent alone, use 'none')")
        if self.count < self.rounds:
            raise ConfigError(f"{self.count} iterations cannot be split into {self.rounds} rounds; use fewer rounds")
        for level in sorted(self.acts_on(levels)):
            size, bound = step_size(self, level, levels), 2 * levels.sigma(level) ** 2
            if size >= bound:
                raise ConfigError(
                    f"step {self.step:g} is unstable at level {level}: rule '{self.rule}' makes it {size:.3g}, "
                    f"which must stay below 2 sigma^2 = {bound:.3g}; use a step below {self.step * bound / size:.3g}"
                )


def step_size(options: Langevin, level: int, levels: Levels) -> float:
    """The step a at a level; sigma_ref is the schedule's sigma at its lowest trained timestep, whatever the grid."""
    ratio = levels.sigma(level) / levels.schedule.sigma_ref
    if options.rule == "literal":
        return options.step * ratio
    if options.rule == "variance":
        return options.step * ratio * ratio
    if options.rule == "code":
        return options.step * math.pow(100.0, 1 - level / (len(levels) - 1))
    return options.step


class LangevinEnhancer:
    """`x <- x - a eps/sigma + sqrt(2 a T) z`, z ~ N(0, I): unadjusted Langevin on the prior's density at one level.

    On a Gaussian of variance v the updates are an AR(1) process with coefficient 1 - a/v and stationary variance
    `T v / (1 - a / (2 v))`.
    """

    def __init__(self, options: Langevin | None = None) -> None:
        self.options = options or Langevin()

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The levels of the options, after a check that the step is stable there."""
        self.options.check(levels)
        return self.options.acts_on(levels)

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The updates of all rounds, one network call each."""
        first, t, sigma = step_size(self.options, level, levels), levels.t[level], levels.sigma(level)
        for factor, noisy in self.options.updates:
            a = first * factor
            spread = math.sqrt(2 * a * self.options.temperature) if noisy else 0.0
            x = x - a / sigma * prior.eps(x, t)
            if spread:
                x = x + spread * rng.normal_like(x)
        return x
