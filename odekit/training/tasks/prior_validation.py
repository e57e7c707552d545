"""Validation loss of a prior in bands of noise levels, with fixed noise, so that runs and checkpoints compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.training import seeding
from odekit.training.options.base import PriorOptions
from odekit.training.tasks import prior_loss, prior_network

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

VALIDATION_SEED = 20_260_101
"""Seed of all validation data: the same in every run, whatever the `seed` option."""


@dataclass(frozen=True)
class ValidationLoss:
    """Unweighted mean squared error of the prediction."""

    bands: tuple[float, ...]
    """One value for each band of timesteps, lowest noise first."""

    @property
    def mean(self) -> float:
        """Mean over the bands: the loss at uniform t."""
        return float(np.mean(self.bands))


class Validator:
    """The validation set: each picture once in each of B equal bands of timesteps, with fixed t and noise."""

    def __init__(self, pictures: Tensor, options: PriorOptions, batch: int = 64) -> None:
        """`pictures` are float32 (N, 3, S, S) in [-1, 1] on the CPU; `batch` is the batch size of network calls."""
        self.pictures, self.options, self.batch = pictures, options, batch
        bands, count = options.validation_levels, len(pictures)
        u = seeding.keyed_generator(VALIDATION_SEED, "validation-t", bands).random((bands, count))
        total = options.diffusion.timesteps
        self.t: NDArray[np.int64] = ((np.arange(bands)[:, None] + u) / bands * total).astype(np.int64)

    def score(self, average: nn.Module, autocast: AbstractContextManager[object]) -> ValidationLoss:
        """The losses of `average`, computed on the device of its weights."""
        import torch

        device = next(average.parameters()).device
        options = self.options
        alphas_bar = torch.from_numpy(prior_loss.noise_schedule(options.diffusion).abar).float()
        bands = []
        average.eval()
        with torch.no_grad(), autocast:
            for band, times in enumerate(self.t):
                noise = seeding.keyed_generator(VALIDATION_SEED, "validation-noise", band).standard_normal(
                    tuple(self.pictures.shape), dtype=np.float32
                )
                total = 0.0
                for start in range(0, len(times), self.batch):
                    rows = slice(start, start + self.batch)
                    t = torch.from_numpy(times[rows])
                    x0, eps, abar = self.pictures[rows], torch.from_numpy(noise[rows]), alphas_bar[t]
                    x = prior_loss.add_noise(x0, eps, abar).to(device)
                    output = prior_network.predict(average, x, t.to(device), options.network.patch).float().cpu()
                    target = prior_loss.target(x0, eps, abar, options.diffusion.prediction)
                    total += float(((output - target) ** 2).mean((1, 2, 3)).sum())
                bands.append(total / len(times))
        return ValidationLoss(tuple(bands))
