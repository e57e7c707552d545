"""Two stages: one that holds a sub-chain, and one that uses a prior of the chain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from example_parts import EstimateOptions, MirrorOptions
from odekit.errors import InputError
from odekit.plugins import BatchNoise, Image, StageContext, Tools, from_state, sigma, signal, stack


class Mirror:
    """Runs its sub-chain on each picture and on its mirror image, and averages the two."""

    def __init__(self, options: MirrorOptions, tools: Tools) -> None:
        self.each = tools.chain(options.each)

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        out = list(batch)
        straight = self.each.run(batch, f"{context.place}.each")
        mirrored_results = self.each.run([mirrored(image) for image in batch], f"{context.place}.mirrored")
        for i, (one, two) in enumerate(zip(straight, mirrored_results, strict=True)):
            stages = one.record["stages"] + two.record["stages"]
            context.note(i, calls=sum(stage.get("calls", 0) for stage in stages), each=stages)
            if one.error is not None or two.error is not None:
                context.fail(i, one.error or two.error)
            else:
                out[i] = one.image.with_pixels((one.image.pixels + mirrored(two.image).pixels) / 2)
        return out


class Estimate:
    """`x_t = signal x + sigma e`, and from it the prior's estimate of x: `(x_t - sigma eps(x_t, t)) / signal`."""

    def __init__(self, options: EstimateOptions, tools: Tools) -> None:
        self.prior = tools.prior(options.prior)
        self.t = options.timestep

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        out = list(batch)
        fits = [i for i, image in enumerate(batch) if image.pixels.shape == tuple(self.prior.shape)]
        for i in set(range(len(batch))) - set(fits):
            context.fail(i, InputError(f"the prior takes pictures of {self.prior.shape[2]}x{self.prior.shape[1]} px"))
        if not fits:
            return out
        rho = self.prior.schedule.rho(self.t)
        clean = stack([batch[i] for i in fits]).to(context.state_device)
        noise = BatchNoise([context.noise(batch[i]) for i in fits]).normal_like(clean)
        x = signal(rho) * clean + sigma(rho) * noise
        calls = context.counter.calls
        estimate = (x - sigma(rho) * self.prior.eps(x, self.t)) / signal(rho)
        for i, pixels in zip(fits, from_state(estimate), strict=True):
            context.note(i, calls=context.counter.calls - calls)
            out[i] = batch[i].with_pixels(pixels)
        return out


def mirrored(image: Image) -> Image:
    return image.with_pixels(np.ascontiguousarray(image.pixels[:, :, ::-1]))
