"""Preconditioned Langevin updates: a step size for each DCT frequency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field as Limits

from odekit.core.grid import Levels
from odekit.core.interfaces import Prior, State
from odekit.core.noise import Rng, array_to_tensor_like
from odekit.core.options import FilePath, Options
from odekit.errors import ConfigError
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.images.dct import dct_matrix
from odekit.parts.enhancers.spectrum import Spectrum, load_spectrum


class PreconditionedOptions(Options):
    """Options of the enhancer `preconditioned`."""

    part = "preconditioned"
    levels: list[int | float] = Limits(default=[0.06, 0.11, 0.17], min_length=1)
    """Levels to update: integers are grid indices, decimals are fractions of the schedule."""
    iterations: int = Limits(default=4, ge=1, le=100_000)
    """Updates per level."""
    rate: float = Limits(default=0.1, gt=0, lt=2)
    """Step size over sigma^2 of a frequency whose variance equals that of the noise, sigma^2. Unstable from 2 on."""
    power: float = Limits(default=-0.25, ge=-1, le=1)
    """The step of a frequency of variance v is proportional to (v / sigma^2)^power: at 1 all frequencies relax equally
    fast, 0 is plain Langevin, below 0 coarse structure, which carries the identity, moves less than at 0."""
    temperature: float = Limits(default=0.5, ge=0)
    """Variance of the noise relative to that of Langevin sampling; 0 is gradient ascent."""
    spectrum: FilePath | None = None
    """A file of `odekit calibrate spectrum`; default: the spectrum of the built-in prior's training faces."""

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The grid indices at which the latent is updated."""
        return levels.find(self.levels)

    def calls(self, levels: Levels) -> int:
        """Network calls per image."""
        return self.iterations * len(self.acts_on(levels))

    def check(self, levels: Levels) -> None:
        """Check levels, spectrum and step sizes (at 64 px) on this grid.

        The curvature of log p_t is at most 1/sigma^2, and may reach it in any direction, so that M must stay below
        2 sigma^2: beyond that the built-in prior's latents overflow.

        Raises:
            ConfigError: a level outside the grid, a spectrum that cannot be read, or a step that may be unstable.
        """
        for level in sorted(self.acts_on(levels)):
            largest = self.growth(self.face_spectrum().variances(64, 64).max(), level, levels)
            if self.rate * largest >= 2:
                raise ConfigError(
                    f"rate {self.rate:g} with power {self.power:g} is unstable at level {level}: the coarsest "
                    f"frequency's step is {self.rate * largest:.3g} sigma^2, which must stay below 2; use a rate below "
                    f"{2 / largest:.3g}, or a lower power"
                )

    def growth(self, face_variance: Any, level: int, levels: Levels) -> Any:
        """(v / sigma^2)^power at a level, for frequencies with these variances over clean faces."""
        sigma = levels.sigma(level)
        return ((levels.signal(level) ** 2 * face_variance + sigma**2) / sigma**2) ** self.power

    def face_spectrum(self) -> Spectrum:
        """The spectrum of clean faces. Raises ConfigError if it cannot be read."""
        return load_spectrum(None if self.spectrum is None else Path(self.spectrum))


class PreconditionedEnhancer:
    """`x <- x - M eps/sigma + sqrt(2 T M) z`, with M diagonal in the DCT of luma and chroma.

    At a level a frequency whose variance over clean faces is S has variance `v = abar S + sigma^2`, and M is
    `rate sigma^2 (v / sigma^2)^power`. M does not depend on x, so that the continuous process keeps the density
    (Roberts and Stramer 2002, doi:10.1023/A:1023562417138). On a Gaussian of these variances each frequency is an AR(1)
    process with coefficient `1 - M/v` (at power 1 that is 1 - rate) and stationary variance `T v / (1 - M / (2 v))`.
    """

    def __init__(self, options: PreconditionedOptions | None = None) -> None:
        self.options = options or PreconditionedOptions()

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The levels of the options.

        Raises:
            ConfigError: see `PreconditionedOptions.check`.
        """
        self.options.check(levels)
        return self.options.acts_on(levels)

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The updates at one level, one network call each."""
        import torch

        options, t, sigma = self.options, levels.t[level], levels.sigma(level)
        height, width = x.shape[2:]
        face_variance = options.face_spectrum().variances(height, width)
        dct_rows, dct_columns, luma_chroma, variance = (
            array_to_tensor_like(m, x) for m in (dct_matrix(height), dct_matrix(width), LUMA_CHROMA_AXES, face_variance)
        )
        steps = options.rate * sigma**2 * options.growth(variance, level, levels)

        def scaled(factor: State, y: State) -> State:
            """Each frequency of y (N, 3, H, W) times its factor (3, H, W)."""
            coefficients = dct_rows @ torch.einsum("ij,njhw->nihw", luma_chroma, y) @ dct_columns.T
            return torch.einsum("ij,nihw->njhw", luma_chroma, dct_rows.T @ (factor * coefficients) @ dct_columns)

        for _ in range(options.iterations):
            x = x - scaled(steps, prior.eps(x, t)) / sigma
            if options.temperature:
                x = x + scaled((2 * options.temperature * steps).sqrt(), rng.normal_like(x))
        return x
