"""The probability-flow ODE as inverter: inversion and decoding on one grid with one solver (ODEdit, section 3.2)."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from pydantic import Field as Limits
from pydantic import model_validator

from odekit.core.abilities import Configured, HasBestGrid, HasSolverCalls, HasSolverEditCalls
from odekit.core.grid import GridName, Levels, make_grid
from odekit.core.interfaces import Field, Latent, Prior, Solver, State, Tools
from odekit.core.noise import Rng
from odekit.core.options import Options, Part
from odekit.core.references import SolverChoice, named
from odekit.core.schedule import NoiseSchedule, signal
from odekit.errors import PluginError
from odekit.parts.inverters.clip import Clip, ConfidenceClip, DynamicThreshold, ThresholdedField
from odekit.parts.inverters.health import DECODING, EDIT, INVERSION, LatentHealth, MonitoredLatent


class Ode(Options):
    """Options of the inverter `ode`."""

    part = "ode"
    solver: SolverChoice = named("ddim")
    steps: int = Limits(default=100, ge=2)
    """Levels of the grid, and steps of the inversion and of the decoding."""
    grid: Literal["auto", "uniform-t", "karras", "log-snr"] = "auto"
    """`auto`: the grid on which the solver measured best (`odekit explain` shows which)."""
    top: float = Limits(default=1.0, gt=0, le=1)
    """Highest level of the grid, as a fraction of the schedule. Above the highest level at which the latent is edited,
    decoding only undoes the inversion, so that a lower top saves network calls."""
    start: Literal["image", "first-level", "noised"] = "image"
    """`image`: the image lies at rho = 0 and takes a step to the first level. `first-level`: it is treated as lying at
    the first level already, which saves a call. `noised`: likewise, with that level's noise added (as CODE does)."""
    clip: Clip = "none"

    @model_validator(mode="before")
    @classmethod
    def _choose_grid(cls, data: Any) -> Any:
        """Resolve `auto` as soon as the solver is given, so that records contain the grid that was used."""
        if isinstance(data, dict) and data.get("grid", "auto") == "auto" and isinstance(data.get("solver"), Part):
            return {**data, "grid": best_grid(data["solver"].options)}
        return data

    def levels(self, schedule: NoiseSchedule) -> Levels:
        """The grid of these options on a schedule."""
        name = best_grid(solver_options(self)) if self.grid == "auto" else self.grid
        return make_grid(name, self.steps, schedule, top=self.top)

    def calls(self, nfe_per_step: float) -> float:
        """Network calls per image of one inversion and one decoding; NaN if unknown."""
        up, down = self.steps - (self.start != "image"), self.steps
        solver = solver_options(self)
        if isinstance(solver, HasSolverCalls):
            return float(solver.calls(up, down, 1 + (up == down)))
        return (up + down) * nfe_per_step

    def edit_calls(self, levels: frozenset[int]) -> float:
        """Network calls that edits at these levels add, because the solver has to update its companion states."""
        solver = solver_options(self)
        if not isinstance(solver, HasSolverEditCalls):
            return 0
        if isinstance(self.clip, ConfidenceClip):
            return math.nan
        return float(solver.edit_calls(levels, self.steps - 1, -(self.start == "image")))


def solver_options(options: Ode, solver: object = None) -> object:
    """The options of an inverter's solver; those of `solver` itself where the inverter's options only name it."""
    if isinstance(options.solver, Part):
        return options.solver.options
    if isinstance(options.solver, str):
        return solver.options if isinstance(solver, Configured) else None
    return options.solver


def best_grid(solver: object) -> GridName:
    """The `best_grid` of a solver's options; the paper's grid where they have none.

    Raises:
        PluginError: the grid does not exist.
    """
    name: GridName = solver.best_grid if isinstance(solver, HasBestGrid) else "uniform-t"
    if name not in get_args(GridName):
        raise PluginError(
            f"{type(solver).__name__}.best_grid is {name!r}; it must be one of {', '.join(get_args(GridName))}"
        )
    return name


class PriorField:
    """eps as a function of (y, rho): scales y to x, computes the timestep and calls the prior."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior

    def __call__(self, y: State, rho: float, label: float | None = None) -> State:
        """eps at y = x / sqrt(abar); one network call, with the timestep of `label` (of rho when None)."""
        t = self.prior.schedule.timestep(rho if label is None else label)
        return self.prior.eps(y * signal(rho), t)


class OdeInverter:
    """Inversion and decoding along `dy/drho = eps`. A latent carries the solver's own state from level to level."""

    def __init__(self, options: Ode, prior: Prior, solver: Solver) -> None:
        """An inverter on the grid of its options.

        Raises:
            PluginError: the solver lacks a method, or its best grid does not exist.
        """
        for method in ("start", "step", "turn", "displace"):
            if method not in dir(solver):
                raise PluginError(f"the solver {type(solver).__name__} has no '{method}'; see odekit.plugins.Solver")
        self.solver = solver
        resolved = solver_options(options, solver)
        if options.grid == "auto":
            options = options.model_copy(update={"grid": best_grid(resolved)})
        self.options = options
        self.levels = options.levels(prior.schedule)
        self.edits_add_calls = isinstance(resolved, HasSolverEditCalls)
        """Edits may add network calls."""
        self.field: Field = PriorField(prior)
        if isinstance(options.clip, DynamicThreshold):
            self.field = ThresholdedField(self.field, options.clip)

    def invert(self, clean: State, rng: Rng) -> Latent:
        """From the image to the highest level in N steps, the first from rho = 0 (N-1 from the first level)."""
        first = -1 if self.options.start == "image" else 0
        if self.options.start == "noised":
            clean = clean + self.levels.sigma(0) * rng.normal_like(clean)
        carry = self.solver.start(self.field, clean / self.levels.signal(first), self.levels.at(first))
        health = LatentHealth.initial(clean)
        for level in range(first + 1, len(self.levels)):
            carry = self.solver.step(self.field, self._clipped(carry, level - 1), self.levels.at(level))
            health = health.with_step(carry.y, self.levels.signal(level), level, INVERSION, carry)
        return self._latent(self.solver.turn(carry), len(self.levels) - 1, health)

    def descend(self, latent: Latent, rng: Rng) -> Latent:
        """One decoding step to the next lower level; from level 0 to the image."""
        carry, level = latent.carry, latent.level - 1
        if not (isinstance(self.options.clip, ConfidenceClip) and self.options.clip.ways == "up"):
            carry = self._clipped(carry, latent.level)
        carry = self.solver.step(self.field, carry, self.levels.at(level))
        health = health_of(latent).with_step(carry.y, self.levels.signal(level), level, DECODING, carry)
        return self._latent(carry, level, health)

    def moved(self, latent: Latent, x: State) -> Latent:
        """The latent with its state set to x; the solver moves its companion states with it."""
        y = x / self.levels.signal(latent.level)
        unmoved = (x == latent.x).flatten(1).all(dim=1).view(-1, 1, 1, 1)
        # Exactly zero, without the rounding error of x / signal: a row that was not moved keeps its history.
        carry = self.solver.displace(latent.carry, (y - latent.carry.y).masked_fill(unmoved, 0.0))
        health = health_of(latent).with_step(x, 1.0, latent.level, EDIT)
        return MonitoredLatent(x, latent.level, carry, health, len(self.levels))

    def _clipped(self, carry: Any, level: int) -> Any:
        clip = self.options.clip
        if not isinstance(clip, ConfidenceClip) or level < 1:
            return carry
        delta = clip.clip(carry.y, self.levels.at(level)) - carry.y
        # Checking for clipped values synchronises with the device: done only where a displacement adds network calls.
        if self.edits_add_calls and not bool((delta != 0).any()):
            return carry
        return self.solver.displace(carry, delta)

    def _latent(self, carry: Any, level: int, health: LatentHealth) -> MonitoredLatent:
        x = carry.y * self.levels.signal(level)
        if level < 0:  # so that a caller who does not read `row_failures` cannot mistake a failed row for a result
            x = x.masked_fill(health.failed, math.nan)
        return MonitoredLatent(x, level, carry, health, len(self.levels))


def health_of(latent: Latent) -> LatentHealth:
    """The health of a latent's rows; a new one where the latent has none."""
    health = latent.health if isinstance(latent, MonitoredLatent) else None
    return LatentHealth.initial(latent.x) if health is None else health


def make_ode_inverter(options: Ode, tools: Tools) -> OdeInverter:
    """The factory of `ode`."""
    return OdeInverter(options, tools.prior(), tools.make(options.solver))
