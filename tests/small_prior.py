"""The small DDIM network with synthetic weights, as a prior: what the goldens of other programs were computed with."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import torch
from goldens import fill, layout
from safetensors.torch import save_file

from odekit.convert import ConvertOptions, convert
from odekit.priors.diffusers_unet import DiffusersPrior


@cache
def small_prior(seed: int = 20240817, rule: str = "B") -> DiffusersPrior:
    """`ddim_small` filled by the rule, through the converter and a folder."""
    with tempfile.TemporaryDirectory() as place:
        tensors = {
            name: torch.from_numpy(value) for name, value in fill(layout("ddim_small_golden"), seed, rule).items()
        }
        save_file(tensors, Path(place) / "small.safetensors")
        folder = convert(Path(place) / "small.safetensors", Path(place) / "out", "ddim", ConvertOptions(image_size=32))
        return DiffusersPrior.load(folder)


class Mixed:
    """`eps = sigma x / (0.25 abar + sigma^2) + 0.1 network(x, t)`: the goldens' well-behaved model."""

    def __init__(self) -> None:
        self.network = small_prior()
        self.shape, self.schedule = self.network.shape, self.network.schedule

    def eps(self, x: torch.Tensor, t: float) -> torch.Tensor:
        abar = self.schedule.abar_at(t)
        return (1 - abar) ** 0.5 * x / (0.25 * abar + 1 - abar) + 0.1 * self.network.eps(x, t)
