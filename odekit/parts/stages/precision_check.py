"""A short fixed restoration by which precisions of a prior are compared: sample, add noise, restore.

Calibration pictures are drawn from the prior itself, so no data is needed, and always with the same noise.
"""

from __future__ import annotations

import math

import torch

from odekit.core.device import state_device
from odekit.core.interfaces import Latent, Prior, State
from odekit.core.noise import BatchNoise, ImageNoise, ZeroNoise, noise_generator
from odekit.core.psnr import psnr_of
from odekit.core.schedule import signal
from odekit.edit import edit
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.solvers.ddim import Ddim
from odekit.parts.solvers.dpmpp_2m import Dpmpp2m

CALIBRATION_IMAGES = 8


def calibration_images(prior: Prior, device: str) -> State:
    """8 pictures (8, 3, H, W) sampled from the prior in 12 steps, plus noise with a standard deviation of 0.2."""
    inverter = OdeInverter(Ode(steps=12, grid="log-snr"), prior, Dpmpp2m())
    top, noise = len(inverter.levels) - 1, fixed_noise(prior, device, "guard sample")
    rho = inverter.levels.at(top)
    x = inverter.levels.sigma(top) * noise
    latent = Latent(x, top, inverter.solver.start(inverter.field, x / signal(rho), rho))
    while latent.level >= 0:
        latent = inverter.descend(latent, BatchNoise([ZeroNoise()] * CALIBRATION_IMAGES))
    return latent.x.clamp(-1, 1) + 0.2 * fixed_noise(prior, device, "guard damage")


def restore_images(prior: Prior, pictures: State) -> State:
    """Restore the pictures with 20 levels of DDIM and 5 Langevin updates at each of two levels; clipped to [-1, 1]."""
    enhancer = LangevinEnhancer(Langevin(levels=[0.0, 0.25], iterations=5))
    inverter = OdeInverter(Ode(steps=20, grid="uniform-t"), prior, Ddim())
    noise = BatchNoise([ImageNoise(noise_generator(0, f"guard {i}", "guard")) for i in range(len(pictures))])
    return edit(pictures, inverter, enhancer, prior, noise).clamp(-1, 1)


def fixed_noise(prior: Prior, device: str, name: str) -> State:
    """Standard normal noise (8, 3, H, W); the same values for the same name."""
    like = torch.zeros((CALIBRATION_IMAGES, *prior.shape), dtype=torch.float64, device=state_device(device))
    streams = [ImageNoise(noise_generator(0, f"{name} {i}", "guard")) for i in range(CALIBRATION_IMAGES)]
    return BatchNoise(streams).normal_like(like)


def lowest_psnr(pictures: State, reference: State) -> float:
    """The lowest PSNR of any picture in dB, for a value range of 2; 0 if one contains NaN."""
    errors = (pictures - reference).flatten(1).pow(2).mean(dim=1).tolist()
    return min(psnr_of(max(error, 1e-40), peak=2.0) if math.isfinite(error) else 0.0 for error in errors)
