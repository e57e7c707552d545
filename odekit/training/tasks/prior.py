"""The task of training a diffusion prior: noisy faces in, the noise or v out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.training import seeding
from odekit.training.data import augment
from odekit.training.data.faces import Faces, to_tensor
from odekit.training.options.base import PriorOptions
from odekit.training.tasks import networks, prior_loss, prior_network, sheet
from odekit.training.tasks.prior_validation import Validator

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn


def spread(count: int, limit: int | None) -> NDArray[np.int64]:
    """Numbers of at most `limit` of `count` pictures, spread evenly; of all where it is None."""
    chosen = count if limit is None else min(count, limit)
    return np.arange(chosen, dtype=np.int64) * count // max(chosen, 1)


class PriorTask:
    """See `odekit.training.task.Task`.

    A batch is: clean pictures (n, 3, S, S) in [-1, 1], noise of the same shape, timesteps (n,).
    """

    def __init__(self, faces: Faces, options: PriorOptions) -> None:
        import torch

        self.faces, self.options = faces, options
        self.fingerprint = faces.fingerprint
        schedule = prior_loss.noise_schedule(options.diffusion)
        d = options.diffusion
        self.abar = torch.from_numpy(schedule.abar).float()
        self.weight = torch.from_numpy(prior_loss.loss_weights(schedule, d.prediction, d.min_snr)).float()
        held_out = faces.val[spread(len(faces.val), options.validation)]
        self.validator = Validator(augment.area_reduce(to_tensor(held_out), options.side) * 2 - 1, options)

    def network(self, start: bool) -> tuple[nn.Module, Mapping[str, Any]]:
        """A new network, random by the seed, or the one of `init`."""
        o = self.options
        return networks.create(
            lambda: prior_network.build(o),
            o.seed,
            o.init if start else None,
            lambda network, folder: prior_network.warm_start(network, folder, o),
        )

    def batch(self, step: int, rank: int, world_size: int) -> tuple[Tensor, ...]:
        """Augmented pictures, noise and timesteps."""
        import torch

        o = self.options
        rng = seeding.keyed_generator(o.seed, "step", step)
        local = slice(rank, None, world_size)
        index = seeding.batch_indices(o.seed, step, o.batch, len(self.faces.train))
        plan = augment.draw_transforms(rng, o.batch, o.augment, step < o.augment.until * o.steps)
        clean = augment.apply(to_tensor(self.faces.train[index[local]]), plan.part(local), o.side) * 2 - 1
        t = seeding.stratified_timesteps(rng, o.batch, o.diffusion.timesteps)
        noise = rng.standard_normal((o.batch, *clean.shape[1:]), dtype=np.float32)
        return clean, torch.from_numpy(noise[local]), torch.from_numpy(t[local])

    def losses(self, network: nn.Module, rows: tuple[Tensor, ...]) -> Tensor:
        """(n,): weighted mean squared error of the prediction for each picture."""
        import torch

        clean, noise, t = rows
        o = self.options
        abar = self.abar.to(clean.device)[t]
        x = prior_loss.add_noise(clean, noise, abar)
        if o.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        output = prior_network.predict(network, x, t, o.network.patch).float()
        target = prior_loss.target(clean, noise, abar, o.diffusion.prediction)
        return ((output - target) ** 2).mean((1, 2, 3)) * self.weight.to(clean.device)[t]

    def validate(self, average: nn.Module, cast: AbstractContextManager[object]) -> Mapping[str, float]:
        """The unweighted loss at uniform t, and in each band of timesteps."""
        score = self.validator.score(average, cast)
        total, count = self.options.diffusion.timesteps, len(score.bands)
        edges = [round(i * total / count) for i in range(count + 1)]
        names = [f"t{a}-{b - 1}" for a, b in itertools.pairwise(edges)]
        return {"loss": score.mean, **dict(zip(names, score.bands, strict=True))}

    def sheet(self, average: nn.Module, cast: AbstractContextManager[object]) -> NDArray[np.uint8] | None:
        """Samples from fixed noise."""
        if not self.options.samples:
            return None
        samples = sheet.draw_samples(average, self.options, cast)
        return sheet.tile(sheet.to_uint8(samples), math.ceil(math.sqrt(len(samples))))

    def write(self, folder: Path, average: nn.Module, facts: Mapping[str, Any]) -> None:
        """A diffusers folder that odekit loads by path."""
        prior_network.write(folder, average, self.options, {**facts, "pictures": self.faces.counts})
