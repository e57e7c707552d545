"""A batch's noise drawn by threads while a card computes: the same numbers, ready when they are asked for.

Otherwise a batch of hundreds would wait for one thread to draw its noise in every update.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.rng import BatchNoise, ImageNoise, Noise

if TYPE_CHECKING:
    from torch import Tensor

THREADS = 8
"""At most; numpy draws without holding Python's lock."""


def batch_noise(rows: Sequence[Noise], device: str) -> BatchNoise:
    """The noise of a batch, drawn ahead for a card; a processor that computes has no threads left to draw with."""
    return AheadNoise(rows) if device.startswith("cuda") else BatchNoise(rows)


class Early:
    """A picture's noise, of which the next draw may have been made already."""

    def __init__(self, noise: ImageNoise) -> None:
        self.noise = noise
        self.coming: Future[None] | None = None
        self.drawn: NDArray[np.float32] | None = None
        self.before: Any = None
        """The generator's state before that draw."""

    def draw(self, shape: tuple[int, ...]) -> None:
        """Draw what is probably asked for next."""
        self.before = self.noise.generator.bit_generator.state
        self.drawn = self.noise.normal(shape)

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Standard normal float32 numbers of this shape: those that the stream would give had nothing been drawn."""
        if self.coming is None:
            return self.noise.normal(shape)
        self.coming.result()
        drawn, self.coming, self.drawn = self.drawn, None, None
        if drawn is not None and drawn.shape == tuple(shape):
            return drawn
        self.noise.generator.bit_generator.state = self.before
        return self.noise.normal(shape)


class AheadNoise(BatchNoise):
    """A `BatchNoise` that begins with the next draw as soon as one is taken."""

    def __init__(self, rows: Sequence[Noise]) -> None:
        super().__init__([Early(row) if isinstance(row, ImageNoise) else row for row in rows])

    def normal_like(self, x: Tensor) -> Tensor:
        """See `BatchNoise.normal_like`."""
        made = super().normal_like(x)
        shape = tuple(x.shape[1:])
        early = [row for row in self.rows if isinstance(row, Early)]
        share = -(-len(early) // workers()) or 1
        for start in range(0, len(early), share):
            some = early[start : start + share]
            coming = pool().submit(draw, some, shape)
            for row in some:
                row.coming = coming
        return made

    def pick(self, rows: Sequence[int]) -> AheadNoise:
        """The streams of these rows alone, with what was drawn ahead of them."""
        return AheadNoise([self.rows[row] for row in rows])


def draw(rows: Sequence[Early], shape: tuple[int, ...]) -> None:
    """The next draw of some rows."""
    for row in rows:
        row.draw(shape)


def workers() -> int:
    """Threads that draw."""
    return max(1, min(THREADS, (os.cpu_count() or 2) - 1))


@cache
def pool() -> ThreadPoolExecutor:
    """The threads, of which a process has one set."""
    return ThreadPoolExecutor(workers(), "odekit-noise")
