"""SK-ROCK: a stabilised scheme for the Langevin equation, which takes long steps in few network calls."""

from __future__ import annotations

from pydantic import Field as Limits

from odekit.core.grid import Levels
from odekit.core.interfaces import Prior, State
from odekit.core.noise import Rng
from odekit.core.options import Options
from odekit.errors import ConfigError

DAMPING = 0.05
"""eta of the paper: keeps the scheme strictly stable between its ends."""


class SkRock(Options):
    """Options of the enhancer `sk-rock`."""

    part = "sk-rock"
    levels: list[int | float] = Limits(default=[0.06, 0.11, 0.17], min_length=1)
    """Where to act: integers are grid indices, decimals fractions of the schedule."""
    iterations: int = Limits(default=1, ge=1)
    """Steps per level."""
    stages: int = Limits(default=2, ge=1, le=50)
    """Network calls per step; the longest stable step grows with their square."""
    rate: float = Limits(default=0.4, gt=0)
    """The step over sigma^2; four updates of `langevin` with a = 0.1 sigma^2 go as far as a step of 0.4."""
    temperature: float = Limits(default=0.5, ge=0)
    """Variance of the noise relative to the drift's own; 0 is ascent."""

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The grid indices at which the latent is moved."""
        return levels.find(self.levels)

    def calls(self, levels: Levels) -> int:
        """Network calls per image."""
        return self.iterations * self.stages * len(self.acts_on(levels))

    def check(self, levels: Levels) -> None:
        """Refuse levels outside the grid, and steps that are unstable. Raises ConfigError."""
        self.acts_on(levels)
        if self.rate >= bound(self.stages):
            raise ConfigError(
                f"rate {self.rate:g} is unstable with {self.stages} stages, which carry a step below "
                f"{bound(self.stages):.4g} sigma^2; use more stages, or a lower rate"
            )


class SkRockEnhancer:
    """The scheme of Abdulle, Almuslimani and Vilmart (SIAM/ASA J. Uncertain. Quantif. 6, 2018; arXiv:1708.08145).

    With F = -eps/sigma, h = rate sigma^2 and Q = sqrt(2 h T) z, one step is

        K1 = x + mu1 h F(x + nu1 Q) + kappa1 Q,   Kj = mu_j h F(K_{j-1}) + nu_j K_{j-1} + (1 - nu_j) K_{j-2}.

    On a Gaussian of variance v it is an AR(1) process: with p = -h/v, w = omega0 + omega1 p and Chebyshev polynomials
    T_s and U_s the coefficient is `A = T_s(w) / T_s(omega0)`, and the noise is multiplied by
    `B = (1 + omega1 p / 2) U_{s-1}(w) / U_{s-1}(omega0)`: stationary variance `2 h T B^2 / (1 - A^2)`.
    """

    def __init__(self, options: SkRock | None = None) -> None:
        self.options = options or SkRock()

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The levels of the options, after a check that the step is stable."""
        self.options.check(levels)
        return self.options.acts_on(levels)

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The steps, `stages` network calls each."""
        options, t, sigma = self.options, levels.t[level], levels.sigma(level)
        h, s = options.rate * sigma**2, options.stages
        omega0, omega1, t_ = constants(s)
        noise = (2 * h * options.temperature) ** 0.5

        def moved(y: State, mu: float) -> State:
            return -(mu * h / sigma) * prior.eps(y, t)

        for _ in range(options.iterations):
            q = noise * rng.normal_like(x) if noise else 0 * x
            before, k = x, x + moved(x + s * omega1 / 2 * q, omega1 / omega0) + s * omega1 / omega0 * q
            for j in range(2, s + 1):
                ratio = t_[j - 1] / t_[j]
                nu = 2 * omega0 * ratio
                before, k = k, moved(k, 2 * omega1 * ratio) + nu * k + (1 - nu) * before
            x = k
        return x


def constants(stages: int) -> tuple[float, float, list[float]]:
    """omega0, omega1 and the values T_0(omega0) ... T_s(omega0) of the Chebyshev polynomials."""
    omega0 = 1 + DAMPING / stages**2
    values, slopes = [1.0, omega0], [0.0, 1.0]
    for j in range(2, stages + 1):
        values.append(2 * omega0 * values[-1] - values[-2])
        slopes.append(2 * values[j - 1] + 2 * omega0 * slopes[-1] - slopes[-2])
    return omega0, values[stages] / slopes[stages], values


def bound(stages: int) -> float:
    """The longest stable step over sigma^2, 2 omega0 / omega1: no density at a level bends more than 1 / sigma^2."""
    omega0, omega1, _ = constants(stages)
    return 2 * omega0 / omega1
