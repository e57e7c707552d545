"""DPM-Solver++ in EDM form: z = x / sqrt(abar) against sigma = sqrt((1 - abar) / abar), the model as a denoiser.

Exponential integrators in lambda = -log sigma (Lu et al., arXiv:2211.01095): with data prediction D,
z(next) = (sigma_next / sigma) z + the integral of e^(lambda - lambda_next) D(lambda) over the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from odekit.plugins import Rng
from odekit_diffbir.schedule import LatentSchedule


class Denoiser:
    """x0 from z at one of the grid's sigmas (Karras et al., arXiv:2206.00364, preconditioning for eps and v)."""

    def __init__(
        self, model: Callable[[Tensor, int], Tensor], schedule: LatentSchedule, steps: int, forced_top: bool = False
    ) -> None:
        self.model = model
        self.schedule = schedule
        self.sigmas, self.timesteps = schedule.edm(steps, forced_top)

    def __call__(self, z: Tensor, i: int) -> Tensor:
        """x0 of z at grid point i; one network call (two with guidance)."""
        sigma = self.sigmas[i]
        scale = 1 / math.sqrt(1 + sigma * sigma)
        out = self.model(scale * z, self.timesteps[i])
        if self.schedule.predicts == "v":
            return scale * scale * z - sigma * scale * out
        return z - sigma * out


def dpmpp_2m(denoiser: Denoiser, z: Tensor) -> Tensor:
    """DPM-Solver++(2M): second order, deterministic, one call per step; the first and the last step are first order."""
    old: Tensor | None = None
    sigmas, before = denoiser.sigmas, 0.0
    for i, (sigma, after) in enumerate(pairwise(sigmas)):
        x0 = denoiser(z, i)
        if after == 0:
            return x0
        h = math.log(sigma / after)
        ahead = x0 if old is None else x0 + (h / before) / 2 * (x0 - old)
        z = (after / sigma) * z - math.expm1(-h) * ahead
        old, before = x0, h
    return z


def dpmpp_3m_sde(denoiser: Denoiser, z: Tensor, rng: Rng, eta: float = 1.0) -> Tensor:
    """DPM-Solver++(3M) SDE, the official default: one call per step, new noise times `eta` (0: none).

    With u = (1 + eta) h, D's slope and curvature from the last three calls enter with phi_2 = 1 - (1 - e^-u)/u and
    phi_3 = phi_2/u - 1/2. The official formula uses the divided difference as curvature, which is half of it.
    The method is therefore of second order like 2M, with a smaller error.
    """
    history: list[tuple[Tensor, float]] = []
    sigmas = denoiser.sigmas
    for i, (sigma, after) in enumerate(pairwise(sigmas)):
        x0 = denoiser(z, i)
        if after == 0:
            return x0
        h = math.log(sigma / after)
        u = (1 + eta) * h
        z = math.exp(-u) * z - math.expm1(-u) * x0
        phi2 = 1 + math.expm1(-u) / u
        if history:
            (old, h1), *older = history
            slope = (x0 - old) * (h / h1)
            if older:
                oldest, h2 = older[0]
                r0, r1 = h1 / h, h2 / h
                bend = (slope - (old - oldest) / r1) / (r0 + r1)
                slope = slope + r0 * bend
                z = z - (phi2 / u - 0.5) * bend
            z = z + phi2 * slope
        if eta:
            z = z + after * math.sqrt(-math.expm1(-2 * h * eta)) * rng.normal_like(z)
        history = [(x0, h), *history[:1]]
    return z
