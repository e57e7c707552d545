"""Sample sheets: samples of a prior from fixed noise, and pictures tiled on one sheet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.training import seeding
from odekit.training.options.base import PriorOptions
from odekit.training.tasks import prior_loss, prior_network

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn


def draw_samples(average: nn.Module, options: PriorOptions, cast: AbstractContextManager[object]) -> Tensor:
    """`options.samples` pictures, float32 (n, 3, S, S) in [-1, 1] on the CPU, from the same noise every time.

    DDIM (arXiv:2010.02502, eq. 12, eta = 0) on evenly spaced timesteps, with x0 clipped to [-1, 1] at every step.
    """
    import torch

    device = next(average.parameters()).device
    abar = prior_loss.noise_schedule(options.diffusion).abar
    times = np.linspace(len(abar) - 1, 0, min(options.sample_steps, len(abar))).round().astype(int)
    shape = (options.samples, 3, options.side, options.side)
    x = torch.from_numpy(seeding.keyed_generator(0, "samples", 0).standard_normal(shape, dtype=np.float32)).to(device)
    average.eval()
    with torch.no_grad(), cast:
        for t, t_next in zip(times, [*times[1:], None], strict=True):
            signal, noise = math.sqrt(abar[t]), math.sqrt(1 - abar[t])
            t_batch = torch.full((len(x),), int(t), device=device)
            output = prior_network.predict(average, x, t_batch, options.network.patch).float()
            x0 = signal * x - noise * output if options.diffusion.prediction == "v" else (x - noise * output) / signal
            x0 = x0.clamp(-1, 1)
            eps = (x - signal * x0) / noise
            x = x0 if t_next is None else math.sqrt(abar[t_next]) * x0 + math.sqrt(1 - abar[t_next]) * eps
    return x.cpu()


def tile(pictures: NDArray[np.uint8], columns: int, gap: int = 2) -> NDArray[np.uint8]:
    """Pictures (N, H, W, 3) tiled on a white sheet (H', W', 3), row by row, `gap` pixels apart."""
    count, height, width = pictures.shape[:3]
    rows = -(-count // columns)
    out = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for i, picture in enumerate(pictures):
        y, x = (i // columns) * (height + gap) + gap, (i % columns) * (width + gap) + gap
        out[y : y + height, x : x + width] = picture
    return out


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """Pictures (N, 3, H, W) in [-1, 1] as uint8 (N, H, W, 3), clipped and rounded."""
    scaled = ((x.float() + 1) * 127.5).clamp(0, 255).round()
    return np.asarray(scaled.byte().permute(0, 2, 3, 1).contiguous().cpu().numpy())
