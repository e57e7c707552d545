"""Problems with exact solutions, as references for solvers and enhancers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from odekit.core.interfaces import Field, Solver
from odekit.parts.priors.exact import GaussianPrior

VARIANCES = (0.05, 0.5, 2.0)
MEANS = (0.3, -0.5, 0.1)


class GaussianField:
    """The exact eps of a Gaussian N(mean, variance) in each channel, as a function of (y, rho).

    `calls` counts the calls; `lossy` rounds eps to float32, like a network.
    """

    def __init__(self, lossy: bool = False) -> None:
        self.mean = torch.tensor(MEANS, dtype=torch.float64).view(1, 3, 1, 1)
        self.variance = torch.tensor(VARIANCES, dtype=torch.float64).view(1, 3, 1, 1)
        self.lossy = lossy
        self.calls = 0

    def __call__(self, y: Tensor, rho: float, label: float | None = None) -> Tensor:
        """`eps = rho (y - mean) / (variance + rho^2)`."""
        self.calls += 1
        eps = rho * (y - self.mean) / (self.variance + rho * rho)
        return eps.float().double() if self.lossy else eps

    def flow(self, y: Tensor, rho: float, to: float) -> Tensor:
        """The exact solution of `dy/drho = eps`."""
        return self.mean + (y - self.mean) * ((self.variance + to * to) / (self.variance + rho * rho)).sqrt()


class MixtureField:
    """The exact eps of an equal mixture of N(-m, s) and N(m, s) for each value: a nonlinear field.

    On a single Gaussian some solvers have a higher order than in general: the explicit midpoint rule, for example, is
    of third order there.
    """

    m, s = 0.6, 0.3

    def __call__(self, y: Tensor, rho: float, label: float | None = None) -> Tensor:
        """`eps = rho (y - m tanh(m y / v)) / v` with v = s + rho^2."""
        v = self.s + rho * rho
        return rho * (y - self.m * torch.tanh(self.m * y / v)) / v


class GaussianModel(GaussianPrior):
    """The Gaussian of `GaussianField` as a `Prior`; `calls` counts the calls."""

    def __init__(self, side: int = 8) -> None:
        super().__init__(MEANS, VARIANCES, (3, side, side))
        self.calls = 0

    def eps(self, x: Tensor, t: float) -> Tensor:
        """Exact eps at timestep t."""
        self.calls += 1
        return super().eps(x, t)


def random_states(n: int = 3, side: int = 4, seed: int = 0) -> Tensor:
    """Reproducible float64 states (n, 3, side, side) with the variances of the test Gaussian."""
    draws = np.random.Generator(np.random.Philox(seed)).standard_normal((n, 3, side, side))
    return torch.from_numpy(draws) * torch.tensor(VARIANCES, dtype=torch.float64).view(1, 3, 1, 1).sqrt()


def log_grid(n: int, low: float = 0.05, high: float = 20.0) -> list[float]:
    """N + 1 values of rho from `low` to `high`, uniform in log rho."""
    return [low * (high / low) ** (i / n) for i in range(n + 1)]


def solve(solver: Solver, field: Field, y: Tensor, rhos: Sequence[float]) -> Tensor:
    """The solver's solution at the last of `rhos`, from y at the first; `rhos` may rise or fall."""
    carry = solver.start(field, y, rhos[0])
    for rho in rhos[1:]:
        carry = solver.step(field, carry, rho)
    end: Tensor = carry.y
    return end


def round_trip(solver: Solver, field: Field, y: Tensor, rhos: Sequence[float]) -> Tensor:
    """The solver's result after inversion along `rhos`, `turn`, and decoding back to the first of them."""
    carry = solver.start(field, y, rhos[0])
    for rho in rhos[1:]:
        carry = solver.step(field, carry, rho)
    carry = solver.turn(carry)
    for rho in list(rhos)[-2::-1]:
        carry = solver.step(field, carry, rho)
    end: Tensor = carry.y
    return end
