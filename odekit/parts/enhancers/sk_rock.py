"""SK-ROCK: a stabilised explicit scheme for the Langevin equation, with long steps in few network calls."""

from __future__ import annotations

from pydantic import Field as Limits

from odekit.core.grid import Levels
from odekit.core.interfaces import Prior, State
from odekit.core.noise import Rng
from odekit.core.options import Options
from odekit.errors import ConfigError

DAMPING = 0.05
"""eta of the paper: keeps the scheme strictly stable inside its stability interval."""


class SkRockOptions(Options):
    """Options of the enhancer `sk-rock`."""

    part = "sk-rock"
    levels: list[int | float] = Limits(default=[0.06, 0.11, 0.17], min_length=1)
    """Levels to update: integers are grid indices, decimals are fractions of the schedule."""
    iterations: int = Limits(default=1, ge=1, le=100_000)
    """Steps per level."""
    stages: int = Limits(default=2, ge=1, le=50)
    """Network calls per step; the largest stable step grows with their square."""
    rate: float = Limits(default=0.4, gt=0)
    """Step size over sigma^2; one step of 0.4 goes as far as four updates of `langevin` with a = 0.1 sigma^2."""
    temperature: float = Limits(default=0.5, ge=0)
    """Variance of the noise relative to that of Langevin sampling; 0 is gradient ascent."""

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The grid indices at which the latent is updated."""
        return levels.find(self.levels)

    def calls(self, levels: Levels) -> int:
        """Network calls per image."""
        return self.iterations * self.stages * len(self.acts_on(levels))

    def check(self, levels: Levels) -> None:
        """Check levels and step size on this grid.

        Raises:
            ConfigError: a level outside the grid, or an unstable step.
        """
        self.acts_on(levels)
        if self.rate >= stability_limit(self.stages):
            raise ConfigError(
                f"rate {self.rate:g} is unstable with {self.stages} stages, which need a step below "
                f"{stability_limit(self.stages):.4g} sigma^2; use more stages, or a lower rate"
            )


class SkRockEnhancer:
    """The scheme of Abdulle, Almuslimani and Vilmart (SIAM/ASA J. Uncertain. Quantif. 6, 2018; arXiv:1708.08145).

    With F = -eps/sigma, h = rate sigma^2 and Q = sqrt(2 h T) z, one step is

        K1 = x + mu1 h F(x + nu1 Q) + kappa1 Q,   Kj = mu_j h F(K_{j-1}) + nu_j K_{j-1} + (1 - nu_j) K_{j-2}.

    On a Gaussian of variance v it is an AR(1) process: with p = -h/v, w = omega0 + omega1 p and Chebyshev polynomials
    T_s and U_s the coefficient is `A = T_s(w) / T_s(omega0)`, and the noise is multiplied by
    `B = (1 + omega1 p / 2) U_{s-1}(w) / U_{s-1}(omega0)`: stationary variance `2 h T B^2 / (1 - A^2)`.
    """

    def __init__(self, options: SkRockOptions | None = None) -> None:
        self.options = options or SkRockOptions()

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The levels of the options.

        Raises:
            ConfigError: see `SkRockOptions.check`.
        """
        self.options.check(levels)
        return self.options.acts_on(levels)

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The steps at one level, `stages` network calls each."""
        options, t, sigma = self.options, levels.t[level], levels.sigma(level)
        h, s = options.rate * sigma**2, options.stages
        omega0, omega1, chebyshev = constants(s)
        noise_std = (2 * h * options.temperature) ** 0.5

        def drift(y: State, mu: float) -> State:
            """mu h F(y), one network call."""
            return -(mu * h / sigma) * prior.eps(y, t)

        for _ in range(options.iterations):
            q = noise_std * rng.normal_like(x) if noise_std else 0 * x
            k_previous, k = x, x + drift(x + s * omega1 / 2 * q, omega1 / omega0) + s * omega1 / omega0 * q
            for j in range(2, s + 1):
                ratio = chebyshev[j - 1] / chebyshev[j]
                nu = 2 * omega0 * ratio
                k_previous, k = k, drift(k, 2 * omega1 * ratio) + nu * k + (1 - nu) * k_previous
            x = k
        return x


def constants(stages: int) -> tuple[float, float, list[float]]:
    """omega0, omega1 and the values T_0(omega0) ... T_s(omega0) of the Chebyshev polynomials."""
    omega0 = 1 + DAMPING / stages**2
    values, derivatives = [1.0, omega0], [0.0, 1.0]
    for j in range(2, stages + 1):
        values.append(2 * omega0 * values[-1] - values[-2])
        derivatives.append(2 * values[j - 1] + 2 * omega0 * derivatives[-1] - derivatives[-2])
    return omega0, values[stages] / derivatives[stages], values


def stability_limit(stages: int) -> float:
    """Limit of stable steps over sigma^2, 2 omega0 / omega1: the curvature of log p_t is at most 1 / sigma^2."""
    omega0, omega1, _ = constants(stages)
    return 2 * omega0 / omega1
