"""A plugin with a prior and a stage that take their time, and count their work. Also a program that runs them."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable

import numpy as np
from photos import At, noise

import odekit
from odekit.core.options import Options
from odekit.parts.faces.geometry import Frame
from odekit.parts.priors.exact import example_mixture
from odekit.testing import catalog_with


class PriorOptions(Options):
    """Options of the prior `slow-mixture`."""

    part = "slow-mixture"
    seconds: float = 0.0


class SlowMixture:
    """The exact mixture at 16 px; every call takes `seconds`."""

    calls = 0
    at_call: Callable[[int], None] = staticmethod(lambda number: None)
    """Called in every call, with its number."""

    def __init__(self, options, tools):
        self.inner = example_mixture(shape=(3, 16, 16), components=3, std=0.2, seed=0)
        self.shape, self.schedule, self.seconds = self.inner.shape, self.inner.schedule, options.seconds

    def eps(self, x, t):
        type(self).calls += 1
        time.sleep(self.seconds)
        self.at_call(self.calls)
        return self.inner.eps(x, t)


class StageOptions(Options):
    """Options of the stage `unaware`."""

    part = "unaware"
    seconds: float = 0.02
    steps: int = 1000


class Unaware:
    """A third party's stage in many short steps, that knows nothing of progress or of stopping."""

    at_start: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, options, tools):
        self.options = options

    def run(self, batch, context):
        self.at_start()
        for _ in range(self.options.steps):
            try:
                time.sleep(self.options.seconds)
            except Exception:  # such a stage may go on after any error
                continue
        return [image.with_pixels(np.clip(image.pixels + np.float32(0.1), 0, 1)) for image in batch]


def catalog():
    """The built-in parts and these."""
    plugin = types.ModuleType("slow_parts_plugin")

    def odekit_parts(catalog):
        catalog.prior("slow-mixture", SlowMixture, PriorOptions)
        catalog.stage("unaware", Unaware, StageOptions)
        catalog.detector("at", At, Options)

    plugin.odekit_parts = odekit.hookimpl(odekit_parts)
    return catalog_with("slow-parts", plugin)


FRAMES = [Frame.from_centre((60.0, 70.0), 80.0, 0.1), Frame.from_centre((150.0, 70.0), 70.0)]
"""Two faces in every photograph."""


def photo_chain(seconds=0.0, steps=6):
    """Two faces are found in every photograph, and take 2 x `steps` + 8 calls together, with batch size 2."""
    At.frames = FRAMES
    restore = {
        "inverter": {"use": "ode", "steps": steps},
        "enhancer": {"use": "langevin", "levels": [0, 2], "iterations": 4},
    }
    faces = {"detect": "at", "each": [{"restore": restore}], "tone": "free"}
    priors = {"face": {"use": "slow-mixture", "seconds": seconds}}
    return odekit.Chain([{"faces": faces}], priors=priors, parts=catalog())


def write_photos(folder, count):
    """Photographs 0.png, 1.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        odekit.write(noise(140, 210, i), folder / f"{i}.png")
    return folder


if __name__ == "__main__":  # odekit's command line, with this chain as every chain
    from odekit.chains.chain import Chain
    from odekit.cli import main

    seconds = float(sys.argv.pop(1))
    Chain.load = classmethod(lambda cls, *args: photo_chain(seconds))
    main()
