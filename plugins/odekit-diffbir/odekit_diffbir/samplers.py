"""Samplers of DiffBIR: from noise to a clean latent. A model predicts eps or v, depending on its schedule.

`spaced` is ancestral sampling on a coarse grid (DDPM's posterior, Ho et al., arXiv:2006.11239, eq. 6 and 7), `ddim` is
Song et al., arXiv:2010.02502, eq. 12 with eta = 0; the exponential integrators are in `edm`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from odekit.plugins import Rng
from odekit_diffbir import edm
from odekit_diffbir.options import Diffbir
from odekit_diffbir.schedule import LatentSchedule, ddim_timesteps, guidance, spaced_timesteps

Model: TypeAlias = Callable[[Tensor, int], Tensor]
"""(x, t) -> eps or v, of x's shape; x (N, C, h, w) is variance preserving, t an integer timestep."""

ProgressCallback: TypeAlias = Callable[[int, Tensor], None]
"""Progress callback: number of completed steps, and the state after them."""


def no_progress(done: int, x: Tensor) -> None:
    """The default progress callback: does nothing."""


def guided(cond: Model, uncond: Model | None, weight: float, rescaled: bool) -> Model:
    """Classifier-free guidance (Ho and Salimans, arXiv:2207.12598): u + w (c - u); c if `uncond` is None."""
    if uncond is None:
        return cond

    def model(x: Tensor, t: int) -> Tensor:
        c, u = cond(x, t), uncond(x, t)
        return u + guidance(weight, t, rescaled) * (c - u)

    return model


def clean(schedule: LatentSchedule, x: Tensor, t: int, out: Tensor) -> Tensor:
    """x0 from the model's prediction for x at t. Undefined for eps at abar = 0."""
    signal, sigma = math.sqrt(schedule.abar[t]), math.sqrt(1 - schedule.abar[t])
    if schedule.predicts == "v":
        return signal * x - sigma * out
    return (x - sigma * out) / signal


def spaced(
    model: Model, schedule: LatentSchedule, x: Tensor, steps: int, rng: Rng, progress: ProgressCallback = no_progress
) -> Tensor:
    """From x ~ N(0, 1) at timestep 999 to a clean latent; one draw of noise per step; the last one is not used."""
    grid = spaced_timesteps(steps)
    for i in reversed(range(steps)):
        abar, below = schedule.abar[grid[i]], schedule.abar[grid[i - 1]] if i else 1.0
        alpha = abar / below
        x0 = clean(schedule, x, grid[i], model(x, grid[i]))
        mean = ((1 - alpha) * math.sqrt(below) * x0 + (1 - below) * math.sqrt(alpha) * x) / (1 - abar)
        noise = rng.normal_like(x)
        x = mean + math.sqrt((1 - alpha) * (1 - below) / (1 - abar)) * noise if i else mean
        progress(steps - i, x)
    return x


def ddim(
    model: Model,
    schedule: LatentSchedule,
    x: Tensor,
    steps: int,
    rng: Rng,
    progress: ProgressCallback = no_progress,
    last: float = 1.0,
) -> Tensor:
    """Deterministic steps to a clean latent. The official program stops at `last` = abar_0 = 0.99915 with noise left.

    Each step draws noise and does not use it, as in the official program.
    """
    grid = ddim_timesteps(steps)
    for i in reversed(range(len(grid))):
        abar, below = schedule.abar[grid[i]], schedule.abar[grid[i - 1]] if i else last
        x0 = clean(schedule, x, grid[i], model(x, grid[i]))
        eps = (x - math.sqrt(abar) * x0) / math.sqrt(1 - abar)
        rng.normal_like(x)
        x = math.sqrt(below) * x0 + math.sqrt(1 - below) * eps
        progress(len(grid) - i, x)
    return x


def sample(options: Diffbir, model: Model, schedule: LatentSchedule, x: Tensor, rng: Rng) -> Tensor:
    """Sample a clean latent with the options' sampler; x is N(0, 1) noise."""
    if options.sampler == "spaced":
        return spaced(model, schedule, x, options.steps, rng)
    if options.sampler == "ddim":
        return ddim(model, schedule, x, options.steps, rng)
    denoiser = edm.Denoiser(model, schedule, options.steps)
    start = x * math.sqrt(1 + denoiser.sigmas[0] ** 2)
    if options.sampler == "dpmpp-2m":
        return edm.dpmpp_2m(denoiser, start)
    return edm.dpmpp_3m_sde(denoiser, start, rng, options.eta)
