"""A prior along its ODE: samples from noise, round trips, statistics of inverted latents, loss by noise level."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import pixel_psnr
from odekit.core.image import Image, from_state, stack
from odekit.core.interfaces import Latent, Prior
from odekit.core.noise import BatchNoise, ImageNoise, ZeroNoise, noise_generator
from odekit.core.schedule import signal
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.solvers.ddim import Ddim

if TYPE_CHECKING:
    from torch import Tensor

Pictures = NDArray[np.uint8]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trip:
    """Images after inversion and decoding without an edit."""

    psnr: Array
    """(N,) PSNR of each decoded image in dB."""
    latents: Array
    """(N, 3, S, S) at the highest level of the grid."""


def sample(prior: Prior, count: int, steps: int = 100, batch: int = 8, seed: int = 0) -> Pictures:
    """Images (count, S, S, 3) by DDIM from pure noise at the highest of `steps` levels, clipped only at the end.

    Sample i depends only on the seed and i (and on `batch` by rounding).
    """
    inverter = OdeInverter(Ode(steps=steps), prior, Ddim())
    top = len(inverter.levels) - 1
    rho = inverter.levels.at(top)
    out = []
    for rows in _chunks(range(count), batch):
        noise = BatchNoise([ImageNoise(noise_generator(seed, f"sample {i}", "bench-prior")) for i in rows])
        x = noise.normal_like(_blank(len(rows), prior))
        # x = signal * x0 + sigma * eps, without the image x0 at the highest level.
        x = x * math.sqrt(1 - signal(rho) ** 2)
        latent = Latent(x, top, inverter.solver.start(inverter.field, x / signal(rho), rho))
        out.append(_pictures(_decode(inverter, latent).x))
    return np.concatenate(out) if out else np.zeros((0, *prior.shape[1:], 3), np.uint8)


def round_trip(prior: Prior, pictures: Pictures, steps: int = 100, batch: int = 8) -> Trip:
    """Invert images (N, S, S, 3) with DDIM and decode them; the result is clipped to [0, 1], not rounded."""
    inverter = OdeInverter(Ode(steps=steps), prior, Ddim())
    psnrs, latents = [], []
    for rows in _chunks(range(len(pictures)), batch):
        images = [Image.from_uint8(pictures[i]) for i in rows]
        top = inverter.invert(stack(images), BatchNoise([ZeroNoise() for _ in rows]))
        latents.append(top.x.cpu().numpy())
        for image, back in zip(images, from_state(_decode(inverter, top).x), strict=True):
            psnrs.append(pixel_psnr(image.pixels, back))
    return Trip(np.array(psnrs), np.concatenate(latents))


def statistics(latents: Array) -> dict[str, Array]:
    """Mean, standard deviation and kurtosis (fourth standardised moment: 3 for a normal) of each latent, (N,)."""
    rows = latents.reshape(len(latents), -1)
    mean, std = rows.mean(1), rows.std(1)
    fourth = ((rows - mean[:, None]) ** 4).mean(1)
    return {"mean": mean, "std": std, "kurtosis": fourth / std**4}


def validation_loss(prior: Prior, pictures: Pictures, bands: int = 10) -> Array:
    """Mean squared error of v (eps error over sqrt(abar)) in each of `bands` equal bands of timesteps, (bands,).

    Every image (N, S, S, 3) once in each band, at the timesteps and with the noise of the validation in training
    (`odekit.training.tasks.prior_validation`), so that the figures equal those of its log.
    """
    import torch

    from odekit.training import seeding
    from odekit.training.tasks.prior_validation import VALIDATION_SEED

    clean = torch.from_numpy(pictures.transpose(0, 3, 1, 2).astype(np.float64) / 127.5 - 1)
    total = len(prior.schedule)
    u = seeding.keyed_generator(VALIDATION_SEED, "validation-t", bands).random((bands, len(pictures)))
    times = ((np.arange(bands)[:, None] + u) / bands * total).astype(np.int64)
    losses = np.zeros((bands, len(pictures)))
    for band in range(bands):
        noise = seeding.keyed_generator(VALIDATION_SEED, "validation-noise", band).standard_normal(
            tuple(clean.shape), dtype=np.float32
        )
        eps = torch.from_numpy(noise).double()
        for i, t in enumerate(times[band].tolist()):
            abar = prior.schedule.abar_at(t)
            x = math.sqrt(abar) * clean[i : i + 1] + math.sqrt(1 - abar) * eps[i : i + 1]
            losses[band, i] = float((prior.eps(x, t) - eps[i : i + 1]).pow(2).mean()) / abar
    return np.asarray(losses.mean(1))


def _decode(inverter: OdeInverter, latent: Latent) -> Latent:
    rng = BatchNoise([ZeroNoise() for _ in latent.x])
    while latent.level >= 0:
        latent = inverter.descend(latent, rng)
    return latent


def _pictures(x: Tensor) -> Pictures:
    return np.stack([Image(pixels).to_uint8() for pixels in from_state(x)])


def _blank(rows: int, prior: Prior) -> Tensor:
    import torch

    return torch.zeros((rows, *prior.shape), dtype=torch.float64)


def _chunks(rows: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
