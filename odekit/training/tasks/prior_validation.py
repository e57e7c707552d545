"""Validation loss per band of noise levels, on fixed noise, so that runs and moments compare."""

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

SEED = 20_260_101
"""Seed of the validation noise: the same in every run, whatever the run's own seed."""


@dataclass(frozen=True)
class Score:
    """Unweighted mean squared error of the network's own target."""

    bands: tuple[float, ...]
    """One per band of timesteps, lowest noise first."""

    @property
    def mean(self) -> float:
        """Mean over the bands: the loss at uniformly drawn t."""
        return float(np.mean(self.bands))


class Validator:
    """The fixed questions: every picture once in each of B equal bands of timesteps, its t and noise fixed."""

    def __init__(self, pictures: Tensor, options: PriorOptions, batch: int = 64) -> None:
        """`pictures` float32 (N, 3, S, S) in [-1, 1] on the CPU."""
        self.pictures, self.options, self.batch = pictures, options, batch
        bands, count = options.validation_levels, len(pictures)
        u = seeding.generator(SEED, "validation-t", bands).random((bands, count))
        total = options.diffusion.timesteps
        self.t: NDArray[np.int64] = ((np.arange(bands)[:, None] + u) / bands * total).astype(np.int64)

    def score(self, average: nn.Module, autocast: AbstractContextManager[object]) -> Score:
        """The losses of `average`, on its own device."""
        import torch

        device = next(average.parameters()).device
        options = self.options
        abar_all = torch.from_numpy(prior_loss.schedule_of(options.diffusion).abar).float()
        bands = []
        average.eval()
        with torch.no_grad(), autocast:
            for band, times in enumerate(self.t):
                noise = seeding.generator(SEED, "validation-noise", band).standard_normal(
                    tuple(self.pictures.shape), dtype=np.float32
                )
                total = 0.0
                for start in range(0, len(times), self.batch):
                    here = slice(start, start + self.batch)
                    t = torch.from_numpy(times[here])
                    x0, eps, abar = self.pictures[here], torch.from_numpy(noise[here]), abar_all[t]
                    x = prior_loss.noised(x0, eps, abar).to(device)
                    said = prior_network.predict(average, x, t.to(device), options.network.patch).float().cpu()
                    wanted = prior_loss.target(x0, eps, abar, options.diffusion.prediction)
                    total += float(((said - wanted) ** 2).mean((1, 2, 3)).sum())
                bands.append(total / len(times))
        return Score(tuple(bands))
