"""Recomputes the goldens of samplers and schedules (DiffBIR, k-diffusion), without networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from odekit_diffbir import edm
from odekit_diffbir.samplers import ddim, guided, spaced
from odekit_diffbir.schedule import LatentSchedule, guidance, official_ddim_timesteps, official_spaced_timesteps
from torch import Tensor

from odekit.core.noise import ImageNoise, ReplayNoise, SharedNoise
from odekit.testing.goldens import Golden

Found = dict[str, NDArray[Any]]
SHAPE = (1, 4, 4, 4)
VARIANCE = (0.25, 1.0, 0.5, 0.09)
MEAN = (0.3, -0.5, 0.1, 0.0)
FREE_MEAN = (-0.2, 0.1, 0.4, -0.3)
"""Statistics of Gaussian data per channel, with and without the condition."""
SCHEDULES: dict[str, Literal["eps", "v"]] = {"v1_v2_eps": "eps", "v21_v_zsnr": "v"}


class DoubleNoise(ImageNoise):
    """Draws in float64, rounded to float32, as the goldens were made."""

    def normal(self, shape: Any) -> NDArray[np.float32]:
        """Standard normal float32 numbers of this shape."""
        return self.generator.standard_normal(tuple(shape)).astype(np.float32)


class Gaussian:
    """The exact prediction for Gaussian data: eps or v, computed in float64, returned in x's type."""

    def __init__(self, schedule: LatentSchedule, mean: tuple[float, ...]) -> None:
        self.schedule = schedule
        self.mean, self.variance = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (mean, VARIANCE))

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """eps or v at timestep t."""
        abar = float(self.schedule.abar[t])
        signal, sigma = math.sqrt(abar), math.sqrt(1 - abar)
        r = (x.double() - signal * self.mean) / (abar * self.variance + 1 - abar)
        eps = sigma * r
        if self.schedule.predicts == "eps":
            return eps.to(x.dtype)
        return (signal * eps - sigma * (self.mean + signal * self.variance * r)).to(x.dtype)


class StateRecorder:
    """Progress callback that records every state."""

    def __init__(self, seen: list[NDArray[Any]]) -> None:
        self.seen = seen

    def __call__(self, done: int, x: Tensor) -> None:
        """Record the state."""
        self.seen.append(x.numpy())


def sampler(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """Every stored state of the spaced, DDIM and DPM++ 2M samplers, with and without guidance."""
    found: Found = {}
    kinds: tuple[Literal["eps", "v"], ...] = ("eps", "v")
    for prefix in kinds:
        schedule = LatentSchedule(prefix)
        cond, free = Gaussian(schedule, MEAN), Gaussian(schedule, FREE_MEAN)
        for steps in (5, 10, 50):
            x, rng = start(golden)
            seen: list[NDArray[Any]] = [x.numpy()]
            spaced(cond, schedule, x, steps, rng, StateRecorder(seen))
            found[f"{prefix}_spaced{steps}_final"] = seen[steps]
            if steps == 50:
                found |= {f"{prefix}_spaced50_after{n}": seen[n] for n in (1, 5, 10, 49)}
        for name, rescaled in (("cfg4", False), ("cfg4_rescaled", True)):
            x, rng = start(golden)
            found[f"{prefix}_spaced10_{name}"] = spaced(guided(cond, free, 4.0, rescaled), schedule, x, 10, rng).numpy()
        x, rng = start(golden)
        found[f"{prefix}_ddim50_final"] = ddim(cond, schedule, x, 50, rng, last=float(schedule.abar[0])).numpy()
    x, _ = start(golden)
    schedule = LatentSchedule("v")
    denoiser = edm.Denoiser(Gaussian(schedule, MEAN), schedule, 10)
    z = x * math.sqrt(1 + denoiser.sigmas[0] ** 2)
    found["v_edm_dpmpp_2m10_final"] = edm.dpmpp_2m(denoiser, z).numpy()
    return found | {"x_T": x.numpy()}


def start(golden: Golden) -> tuple[Tensor, SharedNoise]:
    """x_T and the noise of the steps, from one generator."""
    noise = DoubleNoise(np.random.Generator(np.random.PCG64(golden.number("seed_noise"))))
    return torch.from_numpy(noise.normal(SHAPE)), SharedNoise(noise)


def schedule(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """Every number of the schedule golden, by its name."""
    return {name: np.asarray(number(name.split("/"))) for name in golden.arrays}


def number(place: list[str]) -> Any:
    """The number at `place` in the golden, such as `["v1_v2_eps", "abar_500"]`."""
    table, what = place[0], place[-1]
    if table.startswith("cfg_rescaled_"):
        return guidance(float(table.split("_")[2]), int(what), rescaled=True)
    if table == "gaussian_model":
        return {"mean_cond": MEAN, "mean_uncond": FREE_MEAN, "variance_per_channel": VARIANCE, "shape": SHAPE}[what]
    if table == "spaced_timesteps_ascending":
        return official_spaced_timesteps(int(what))
    if table == "ddim_timesteps_ascending":
        return official_ddim_timesteps(int(what))
    if table == "edm_type":
        # The official grid puts 1e4 at the top of both schedules; odekit's own does so where v is predicted.
        kind, steps = place[1].rsplit("_", 1)
        sigmas, timesteps = LatentSchedule(SCHEDULES[kind]).edm(int(steps), forced_top=True)
        return sigmas if what == "sigmas" else timesteps
    return level(LatentSchedule("eps" if table == "v1_v2_eps" else "v"), what)


def level(schedule: LatentSchedule, what: str) -> float:
    """`abar_first`, `beta_998`, `beta_sum` and the like."""
    kind, _, at = what.partition("_")
    values = schedule.abar if kind == "abar" else schedule.betas
    if at == "sum":
        return float(values.sum())
    return float(values[{"first": 0, "second": 1, "last": -1}.get(at) if not at.isdigit() else int(at)])


class StoredDenoiser:
    """The denoiser of the k-diffusion runs (data/README.md), on their grid."""

    mean, variance = (torch.tensor(v, dtype=torch.float64).view(1, 2, 1, 1) for v in ((0.3, -0.5), (0.25, 1.0)))

    def __init__(self, sigmas: NDArray[np.float64]) -> None:
        self.sigmas = tuple(map(float, sigmas))

    def __call__(self, z: Tensor, i: int) -> Tensor:
        """The denoised z at sigma number i."""
        s = self.sigmas[i]
        return self.mean + self.variance / (self.variance + s * s) * (z - self.mean) + 0.1 * torch.tanh(z / (1 + s))


def k_diffusion(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """DPM++ 2M, and DPM++ 3M SDE with three values of eta, in float64."""
    denoiser, start = StoredDenoiser(golden.arrays["sigmas"]), torch.from_numpy(golden.arrays["start"])
    found: Found = {"dpmpp_2m": edm.dpmpp_2m(denoiser, start).numpy()}
    for eta in (0.0, 0.5, 1.0):
        noise = SharedNoise(ReplayNoise(golden.arrays["noise"]))
        found[f"dpmpp_3m_sde_eta{eta:g}"] = edm.dpmpp_3m_sde(denoiser, start, noise, eta).numpy()
    return found
