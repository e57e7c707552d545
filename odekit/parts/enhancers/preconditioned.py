"""Preconditioned Langevin updates: every frequency moves at a pace of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field as Limits

from odekit.core.grid import Levels
from odekit.core.interfaces import Prior, State
from odekit.core.noise import Rng, to_tensor_like
from odekit.core.options import Options
from odekit.errors import ConfigError
from odekit.images.colour import LUMA_CHROMA
from odekit.parts.enhancers.spectrum import Spectrum, cosines, load_spectrum


class Preconditioned(Options):
    """Options of the enhancer `preconditioned`."""

    part = "preconditioned"
    levels: list[int | float] = Limits(default=[0.06, 0.11, 0.17], min_length=1)
    """Where to act: integers are grid indices, decimals fractions of the schedule."""
    iterations: int = Limits(default=4, ge=1)
    """Updates per level."""
    rate: float = Limits(default=0.1, gt=0, lt=2)
    """The step over sigma^2 of a frequency whose variance is the noise's own, sigma^2. From 2 on it is unstable."""
    power: float = Limits(default=-0.25, ge=-1, le=1)
    """How the step grows with the variance v of a frequency, as (v / sigma^2)^power: 1 relaxes all at the same pace,
    0 is plain Langevin, below 0 coarse structure, which is the person, is moved even less than that."""
    temperature: float = Limits(default=0.5, ge=0)
    """Variance of the noise relative to the drift's own; 0 is ascent."""
    spectrum: str | None = None
    """A file of `odekit calibrate spectrum`; by default that of the built-in prior's training faces."""

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The grid indices at which the latent is moved."""
        return levels.find(self.levels)

    def calls(self, levels: Levels) -> int:
        """Network calls per image."""
        return self.iterations * len(self.acts_on(levels))

    def check(self, levels: Levels) -> None:
        """Refuse levels outside the grid, a spectrum that cannot be read, and steps that may be unstable at 64 px.

        No density at a level bends more than 1/sigma^2, but in every direction some may, so that M must stay below
        2 sigma^2: with more than that the built-in prior's latents leave the range of numbers.

        Raises:
            ConfigError: with the bound.
        """
        for level in sorted(self.acts_on(levels)):
            largest = self.growth(self.of_faces().variances(64, 64).max(), level, levels)
            if self.rate * largest >= 2:
                raise ConfigError(
                    f"rate {self.rate:g} with power {self.power:g} is unstable at level {level}: the coarsest "
                    f"frequency's step is {self.rate * largest:.3g} sigma^2, which must stay below 2; use a rate below "
                    f"{2 / largest:.3g}, or a lower power"
                )

    def growth(self, clean: Any, level: int, levels: Levels) -> Any:
        """(v / sigma^2)^power for frequencies of these variances over clean faces."""
        sigma = levels.sigma(level)
        return ((levels.signal(level) ** 2 * clean + sigma**2) / sigma**2) ** self.power

    def of_faces(self) -> Spectrum:
        """The spectrum. Raises ConfigError where it cannot be read."""
        return load_spectrum(None if self.spectrum is None else Path(self.spectrum))


class PreconditionedEnhancer:
    """`x <- x - M eps/sigma + sqrt(2 T M) z`, with M diagonal in the DCT of luma and chroma.

    At a level a frequency whose variance over clean faces is S has variance `v = abar S + sigma^2`, and M is
    `rate sigma^2 (v / sigma^2)^power`. M does not depend on x, so that the continuous process keeps the density
    (Roberts and Stramer 2002, doi:10.1023/A:1023562417138). On a Gaussian of these variances each frequency is an AR(1)
    process with coefficient `1 - M/v` (at power 1 that is 1 - rate) and stationary variance `T v / (1 - M / (2 v))`.
    """

    def __init__(self, options: Preconditioned | None = None) -> None:
        self.options = options or Preconditioned()

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The levels of the options."""
        self.options.check(levels)
        return self.options.acts_on(levels)

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The updates, one network call each."""
        import torch

        options, t, sigma = self.options, levels.t[level], levels.sigma(level)
        height, width = x.shape[2:]
        faces = options.of_faces().variances(height, width)
        down, across, turn, clean = (
            to_tensor_like(m, x) for m in (cosines(height), cosines(width), LUMA_CHROMA, faces)
        )
        steps = options.rate * sigma**2 * options.growth(clean, level, levels)

        def scaled(factor: State, y: State) -> State:
            """Each frequency of y (N, 3, H, W) times its factor (3, H, W)."""
            apart = down @ torch.einsum("ij,njhw->nihw", turn, y) @ across.T
            return torch.einsum("ij,nihw->njhw", turn, down.T @ (factor * apart) @ across)

        for _ in range(options.iterations):
            x = x - scaled(steps, prior.eps(x, t)) / sigma
            if options.temperature:
                x = x + scaled((2 * options.temperature * steps).sqrt(), rng.normal_like(x))
        return x
