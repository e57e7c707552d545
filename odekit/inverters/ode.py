"""The probability-flow ODE as inverter: up and down one grid with one solver (ODEdit, section 3.2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Limits

from odekit.errors import ConfigError
from odekit.grids import GridName, Levels, make_grid
from odekit.interfaces import Latent, Prior, Solver, State, Tools
from odekit.options import Options, SolverRef
from odekit.rng import Rng
from odekit.schedule import NoiseSchedule, signal


class Ode(Options):
    """Options of the inverter `ode`."""

    part = "ode"
    solver: SolverRef = "ddim"
    steps: int = Limits(default=100, ge=2)
    """Levels of the grid; as many steps go up and as many come down."""
    grid: GridName = "uniform-t"
    start: Literal["image", "first-level"] = "image"
    """`image`: the picture lies at rho = 0 and takes a step to the first level. `first-level`: it is treated as lying
    at the first level already (CODE's convention), which saves a call."""
    clip: Literal["none"] = "none"

    def levels(self, schedule: NoiseSchedule) -> Levels:
        """The grid that these options give on a schedule."""
        return make_grid(self.grid, self.steps, schedule)

    def calls(self, nfe_per_step: float) -> float:
        """Network calls per image of one inversion and one decoding."""
        return (2 * self.steps - (self.start == "first-level")) * nfe_per_step


class PriorField:
    """eps as a function of (y, rho): scales y to x, finds the timestep, calls the prior."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior

    def __call__(self, y: State, rho: float, label: float | None = None) -> State:
        """eps at y = x / sqrt(abar); one network call, told the timestep of `label` (of rho when None)."""
        t = self.prior.schedule.timestep(rho if label is None else label)
        return self.prior.eps(y * signal(rho), t)


class OdeInverter:
    """Inversion and decoding along `dy/drho = eps`. Carries the solver's own state from level to level."""

    def __init__(self, options: Ode, prior: Prior, solver: Solver) -> None:
        self.options = options
        self.solver = solver
        self.levels = options.levels(prior.schedule)
        self.field = PriorField(prior)

    def invert(self, clean: State, rng: Rng) -> Latent:
        """From the image to the highest level: N steps, the first from rho = 0 (N-1 with `start: first-level`)."""
        if self.options.start == "image":
            carry, rest = self.solver.start(self.field, clean, 0.0), self.levels.rho
        else:
            first = self.levels.rho[0]
            carry, rest = self.solver.start(self.field, clean / signal(first), first), self.levels.rho[1:]
        for rho in rest:
            carry = self.solver.step(self.field, carry, rho)
        return self._latent(self.solver.turn(carry), len(self.levels) - 1)

    def descend(self, latent: Latent, rng: Rng) -> Latent:
        """One step down; from level 0 to the image."""
        carry = self.solver.step(self.field, latent.carry, self.levels.at(latent.level - 1))
        return self._latent(carry, latent.level - 1)

    def moved(self, latent: Latent, x: State) -> Latent:
        """Companions of the solver move with the edit."""
        y = x / self.levels.signal(latent.level)
        carry = self.solver.displace(latent.carry, y - latent.carry.y)
        return Latent(x, latent.level, carry)

    def _latent(self, carry: object, level: int) -> Latent:
        y = carry.y  # type: ignore[attr-defined]
        return Latent(y * self.levels.signal(level), level, carry)


def make(options: Ode, tools: Tools) -> OdeInverter:
    """The factory of `ode`."""
    if tools.prior is None:
        raise ConfigError("the inverter 'ode' needs a prior")
    return OdeInverter(options, tools.prior, tools.make(options.solver))
