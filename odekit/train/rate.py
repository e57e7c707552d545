"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from odekit.train.options import Optimiser


def learning_rate(step: int, steps: int, options: Optimiser) -> float:
    """The rate at step 0 .. steps - 1: linear warm-up, level, then a fall to `final * lr` at the last step."""
    rise = min(1.0, (step + 1) / options.warmup) if options.warmup else 1.0
    start = options.decay_from * steps
    if options.decay == "none" or step < start:
        return options.lr * rise
    done = min(1.0, (step + 1 - start) / (steps - start))
    fall = 1.0 - done if options.decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return options.lr * rise * (options.final + (1.0 - options.final) * fall)
