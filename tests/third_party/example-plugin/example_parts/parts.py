"""A two-call Runge-Kutta solver and an upsampler that repeats pixels."""

from __future__ import annotations

import numpy as np

from example_parts import NearestOptions, RalstonOptions
from odekit.plugins import Carry, UpsamplerSpec


class Ralston:
    order = 2
    nfe_per_step = 2.0
    reversible = False

    def __init__(self, options: RalstonOptions | None = None) -> None:
        self.at = (options or RalstonOptions()).at

    def start(self, field, y, rho):
        return Carry(y, rho)

    def step(self, field, carry, rho):
        h = rho - carry.rho
        first = field(carry.y, carry.rho)
        second = field(carry.y + self.at * h * first, carry.rho + self.at * h)
        weight = 1 / (2 * self.at)
        return Carry(carry.y + h * ((1 - weight) * first + weight * second), rho)

    def turn(self, carry):
        return carry

    def displace(self, carry, delta):
        return Carry(carry.y + delta, carry.rho)


class Nearest:
    def __init__(self, options: NearestOptions | None = None, tools=None) -> None:
        self.scale = (options or NearestOptions()).scale
        self.spec = UpsamplerSpec(scale=self.scale)

    def upsample(self, images, rng):
        return [image.with_pixels(np.repeat(np.repeat(image.pixels, self.scale, 1), self.scale, 2)) for image in images]
