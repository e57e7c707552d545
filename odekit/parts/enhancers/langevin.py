"""Langevin updates of a latent (ODEdit, Algorithm 1, and eq. 5)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field as Limits
from pydantic import model_validator

from odekit.core.grid import Levels
from odekit.core.interfaces import Prior, State
from odekit.core.noise import Rng
from odekit.core.options import FilePath, Options
from odekit.errors import ConfigError
from odekit.parts.enhancers.calibration import StrengthCalibration, load_calibration

if TYPE_CHECKING:
    from torch import Tensor

PRESETS = {"light": 100, "medium": 200, "heavy": 300}
"""The paper's iterations per level for light, medium and heavy damage."""
DEFAULT_LEVELS: tuple[float, ...] = (0.0, 0.06, 0.11, 0.17)
DEFAULT_STEP, DEFAULT_TEMPERATURE, DEFAULT_SNR = 4e-7, 0.5, 0.16
"""Defaults where `iterations` is a number."""


class Langevin(Options):
    """Options of the enhancer `langevin`."""

    part = "langevin"
    levels: list[int | float] | None = Limits(default=None, min_length=1)
    """Levels to update: integers are grid indices, decimals are fractions of the schedule; default: 0, 0.06, 0.11,
    0.17. The paper's are 0, 0.25, 0.5, 0.75, the upper two of which change the identity (chain `odedit-paper`)."""
    iterations: Annotated[int, Limits(le=100_000)] | Literal["light", "medium", "heavy", "auto"] = 100
    """Updates per level; `light`, `medium`, `heavy` are 100, 200, 300. `auto`: a damage meter chooses levels,
    iterations, step and temperature for each image, except those that are set."""
    step: float | None = Limits(default=None, gt=0)
    """The paper's epsilon (1e-6 there); default: 4e-7. `rule` turns it into the step size."""
    rule: Literal["literal", "variance", "constant", "code", "snr"] = "variance"
    """Step size a at a level: `literal` step * sigma/sigma_ref (as printed), `variance` step * sigma^2/sigma_ref^2,
    `constant` step, `code` step * g with g geometric from 100 at the lowest level of the grid to 1 at the highest,
    `snr` 2 (snr |z|/|score|)^2 for each image and update."""
    snr: float | None = Limits(default=None, gt=0, lt=1)
    """For rule `snr`: norm of the noise over norm of the score term of an update; default: 0.16."""
    temperature: float | None = Limits(default=None, ge=0)
    """Variance of the noise relative to that of Langevin sampling; default: 0.5. 0 is gradient ascent, the paper's 1/3
    smooths, 1 samples."""
    meter: FilePath | None = None
    """For `auto`: a calibration file of `odekit calibrate meter`; default: that of the built-in prior."""
    strength: Literal["auto", "given", "none", "light", "medium", "heavy"] = "auto"
    """For `auto`: the strength of the calibration that every image gets, instead of the one chosen by the meter.
    `given`: none, unless the user gives one with `--strength`."""

    rounds: int = Limits(default=1, ge=1, le=100_000)
    """Number of rounds of equal length that the iterations are split into; a remainder is dropped."""
    decay: float = Limits(default=1.0, gt=0, le=1)
    """Factor on the step from round to round (CODE: 0.8 over 4 rounds)."""
    finish: Literal["noisy", "clean"] = "noisy"
    """`clean` ends each round with one more update, without noise (CODE)."""

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, data: Any) -> Any:
        """Fill in defaults, so that records contain them; with `auto` the meter chooses the values instead."""
        if not isinstance(data, dict) or data.get("iterations") == "auto":
            return data
        given = {key: value for key, value in data.items() if value is not None}
        defaults: dict[str, Any] = {
            "levels": list(DEFAULT_LEVELS), "step": DEFAULT_STEP, "temperature": DEFAULT_TEMPERATURE
        }  # fmt: skip
        if data.get("rule") == "snr":
            defaults |= {"step": None, "snr": DEFAULT_SNR}
        return defaults | given

    @property
    def auto(self) -> bool:
        """Whether the damage meter chooses the strength."""
        return self.iterations == "auto"

    @property
    def calibration(self) -> StrengthCalibration:
        """The calibration of the damage meter. Raises ConfigError if it cannot be read."""
        return load_calibration(None if self.meter is None else Path(self.meter))

    def with_strength(self, strength: str) -> Langevin:
        """The same updates at a strength given by the user; unchanged if `iterations` is a number."""
        return self.model_copy(update={"strength": strength}) if self.auto else self

    @property
    def idle(self) -> bool:
        """There are no updates, whatever the image."""
        return self.auto and self.strength in ("none", "given")

    @property
    def idle_entry(self) -> dict[str, Any]:
        """For records: the strength, where the user chose that there are no updates."""
        return {"strength": [{"strength": "none", "given": True}]} if self.strength == "none" else {}

    @property
    def count(self) -> int:
        """Iterations per level as a number; 0 with `auto`."""
        return self.iterations if isinstance(self.iterations, int) else PRESETS.get(self.iterations, 0)

    @property
    def updates(self) -> list[tuple[float, bool]]:
        """The updates at one level in order: the factor on the step, and whether noise is added."""
        noise_in_round = [True] * (self.count // self.rounds) + [False] * (self.finish == "clean")
        return [(self.decay**number, noisy) for number in range(self.rounds) for noisy in noise_in_round]

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The grid indices at which the latent is updated; with `auto`, all at which it may be."""
        if self.levels is not None:
            return levels.find(self.levels)
        return levels.find([level for strength in self.calibration.strengths for level in strength.levels])

    def calls(self, levels: Levels) -> float:
        """Network calls per image; NaN with `auto`."""
        return math.nan if self.auto else len(self.updates) * len(self.acts_on(levels))

    def call_range(self, levels: Levels) -> tuple[float, float]:
        """The smallest and the largest number of network calls per image, over the strengths that may be chosen."""
        if not self.auto:
            return self.calls(levels), self.calls(levels)
        if self.idle:
            return 0, 0
        chosen = self.strength == "auto"
        possible = self.calibration.strengths if chosen else (self.calibration.strength_named(self.strength),)
        counts = [s.iterations * len(levels.find(self.levels or s.levels)) for s in possible if s.iterations] or [0]
        return 0 if chosen else min(counts), max(counts)

    def check(self, levels: Levels) -> None:
        """Check the options on this grid.

        Raises:
            ConfigError: no iterations, or fewer than rounds; a level outside the grid; an unstable step
                (a >= 2 sigma^2); options that contradict each other.
        """
        if self.auto and (self.rule != "variance" or self.rounds > 1 or self.finish == "clean"):
            raise ConfigError(
                "iterations: auto uses rule 'variance' and one round; leave out rule, rounds and finish, or give "
                "iterations as a number"
            )
        if self.auto:
            self.calibration.check(levels.t[-1] / len(levels.schedule))
        if self.strength not in ("auto", "given") and not self.auto:
            raise ConfigError("the option strength has no effect without iterations: auto; leave it out")
        if self.meter is not None and not self.auto:
            raise ConfigError("the option meter has no effect without iterations: auto; leave it out")
        if self.snr is not None and self.rule != "snr":
            raise ConfigError(f"the option snr belongs to rule 'snr', not to rule '{self.rule}'; leave it out")
        if self.rule == "snr" and self.step is not None:
            raise ConfigError("rule 'snr' computes its step from snr; leave step out")
        if not self.auto and self.count < 1:
            raise ConfigError(
                f"iterations is {self.count}: it must be at least 1 (for no updates, use the enhancer 'none')"
            )
        if not self.auto and self.count < self.rounds:
            raise ConfigError(f"{self.count} iterations cannot be split into {self.rounds} rounds; use fewer rounds")
        for level in sorted(self.acts_on(levels)):
            if self.step is None:
                continue  # rule 'snr' clamps its step at sigma^2; the rates of a calibration are checked on reading
            size, bound = step_size(self, level, levels), 2 * levels.sigma(level) ** 2
            if size >= bound:
                raise ConfigError(
                    f"step {self.step:g} is unstable at level {level}: rule '{self.rule}' gives a step of {size:.3g}, "
                    f"which must be below 2 sigma^2 = {bound:.3g}; use a step below {self.step * bound / size:.3g}"
                )


def step_size(options: Langevin, level: int, levels: Levels) -> float:
    """The step a at a level.

    sigma_ref is the schedule's sigma at its lowest trained timestep; it is the same for every grid.
    For rule `snr` see `snr_step`.
    """
    ratio, step = levels.sigma(level) / levels.schedule.sigma_ref, options.step or 0.0
    if options.rule == "literal":
        return step * ratio
    if options.rule == "variance":
        return step * ratio * ratio
    if options.rule == "code":
        return step * math.pow(100.0, 1 - level / (len(levels) - 1))
    return step


def snr_step(snr: float, eps: State, sigma: float) -> State:
    """Rule `snr`: `a = 2 (snr |z| / |score|)^2` for each row, (N, 1, 1, 1), with score = -eps/sigma.

    Song et al., arXiv:2011.13456, algorithm 5 with alpha = 1; |z| is replaced by its expected value, the square root of
    the number of values. a is clamped at sigma^2, the step that reaches the conditional mean at once.
    """
    score = (eps / sigma).flatten(1).square().mean(dim=1)
    return (2 * snr**2 / score).clamp(max=sigma**2).view(-1, 1, 1, 1)


def add_scaled(x: State, factor: float | Tensor, y: State) -> State:
    """`x + factor y`, in one pass over memory where the factor is a number."""
    return x.add(y, alpha=factor) if isinstance(factor, float) else x + factor * y


class LangevinEnhancer:
    """`x <- x - a eps/sigma + sqrt(2 a T) z`, z ~ N(0, I): unadjusted Langevin on the prior's density at one level.

    On a Gaussian of variance v the updates are an AR(1) process with coefficient 1 - a/v and stationary variance
    `T v / (1 - a / (2 v))`; with rule `snr` the stationary variance is `v (T + snr^2)` for many values.
    """

    def __init__(self, options: Langevin | None = None) -> None:
        self.options = options or Langevin()

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The levels of the options.

        Raises:
            ConfigError: see `Langevin.check`.
        """
        self.options.check(levels)
        return self.options.acts_on(levels)

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The updates of all rounds at one level, one network call each."""
        options, t, sigma = self.options, levels.t[level], levels.sigma(level)
        base_step, temperature = step_size(options, level, levels), options.temperature or 0.0
        for factor, noisy in options.updates:
            eps = prior.eps(x, t)
            a = factor * (snr_step(options.snr or DEFAULT_SNR, eps, sigma) if options.rule == "snr" else base_step)
            x = add_scaled(x, -a / sigma, eps)
            if noisy and temperature:
                x = add_scaled(x, (2 * a * temperature) ** 0.5, rng.normal_like(x))
        return x
