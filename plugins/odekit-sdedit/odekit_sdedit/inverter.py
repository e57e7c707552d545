"""SDEdit as an inverter: inversion adds noise in one step, descent is ancestral sampling (DDPM's posterior)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from odekit.plugins import Latent, Rng, Tools
from odekit_sdedit.options import Sdedit

if TYPE_CHECKING:
    from torch import Tensor


class SdeditInverter:
    """`x_t0 = sqrt(abar) x + sigma e`, then DDPM steps to the image (Ho et al., arXiv:2006.11239, eq. 11)."""

    def __init__(self, options: Sdedit, tools: Tools) -> None:
        self.prior = tools.prior()
        self.levels = options.levels(self.prior.schedule)
        abar = self.prior.schedule.abar
        self.abar = [float(a) for a in abar[: options.t0]]
        self.beta = [1 - float(abar[i] / abar[i - 1]) if i else 1 - float(abar[0]) for i in range(options.t0)]
        self.variance = [self._variance(i, options.variance == "fixedlarge") for i in range(options.t0)]

    def _variance(self, i: int, large: bool) -> float:
        if i == 0:  # the last step adds no noise
            return 0.0
        if large:
            return self.beta[i]
        return max(self.beta[i] * (1 - self.abar[i - 1]) / (1 - self.abar[i]), 1e-20)

    def invert(self, clean: Tensor, rng: Rng) -> Latent:
        """Add noise up to the highest level, without a network call. The noise is stored for `pin`."""
        e = rng.normal_like(clean)
        top = len(self.levels) - 1
        return Latent(self._noised(clean, e, top), top, (clean, e))

    def descend(self, latent: Latent, rng: Rng) -> Latent:
        """One ancestral step; one network call."""
        i, x = latent.level, latent.x
        eps = self.prior.eps(x, self.levels.t[i])
        mean = (x - self.beta[i] / math.sqrt(1 - self.abar[i]) * eps) / math.sqrt(1 - self.beta[i])
        x = mean + math.sqrt(self.variance[i]) * rng.normal_like(x)
        return Latent(x, i - 1, latent.carry)

    def moved(self, latent: Latent, x: Tensor) -> Latent:
        """The latent with state `x`; this inverter has no other state to update."""
        return Latent(x, latent.level, latent.carry)

    def pin(self, latent: Latent, keep: Tensor) -> Latent:
        """Replace kept pixels by the input with the noise of `invert`, one level above the rest (as upstream)."""
        clean, e = latent.carry
        kept = self._noised(clean, e, latent.level + 1)
        return Latent(keep * kept + (1 - keep) * latent.x, latent.level, latent.carry)

    def _noised(self, clean: Tensor, e: Tensor, level: int) -> Tensor:
        return math.sqrt(self.abar[level]) * clean + math.sqrt(1 - self.abar[level]) * e
