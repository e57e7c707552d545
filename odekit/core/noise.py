"""One noise stream per image, so that a picture's noise does not depend on its neighbours, the order or the device.

Each image has a numpy `Generator(Philox)` keyed by SHA-256 of (run seed, picture as first decoded, place in the chain,
face number, sample number). Draws are made on the CPU as float32. Nothing touches a global generator.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Noise(Protocol):
    """Where random numbers come from. Tests replay stored draws through this same interface."""

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Standard normal float32 numbers of this shape; each call goes on in the stream."""
        ...


def stream(seed: int, origin: str, place: str, face: int = 0, sample: int = 0) -> np.random.Generator:
    """The generator of one image at one place of a chain."""
    key = hashlib.sha256(f"odekit-noise-1|{seed}|{origin}|{place}|{face}|{sample}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key[:16], dtype="<u8")))


class ImageNoise:
    """The noise of one image, from its keyed stream."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Standard normal float32 numbers of this shape."""
        return self.generator.standard_normal(tuple(shape), dtype=np.float32)


class Replay:
    """Stored draws in call order, for tests that repeat another program's run."""

    def __init__(self, draws: Iterable[NDArray[np.float32]]) -> None:
        self.draws = iter(draws)

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """The next stored draw, which must have this shape."""
        draw = np.asarray(next(self.draws), dtype=np.float32)
        if draw.shape != tuple(shape):
            raise ValueError(f"the stored draw has shape {draw.shape}, asked for {tuple(shape)}")
        return draw


class ZeroNoise:
    """No noise: zeros. What padded slots of a batch get."""

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Zeros of this shape."""
        return np.zeros(tuple(shape), dtype=np.float32)


def to_tensor_like(numbers: NDArray[Any], like: Tensor) -> Tensor:
    """Numbers made on the CPU, in the type and on the device of `like`; a graphics card is not waited for."""
    return to_device_of(numbers, like).to(like.dtype)


def to_device_of(numbers: NDArray[Any], like: Tensor) -> Tensor:
    """Numbers made on the CPU, in their own type, on the device of `like`."""
    import torch

    made = torch.from_numpy(numbers)
    if like.is_cuda:  # only from pinned memory can a copy run beside the card's work
        made = made.pin_memory()
    return made.to(device=like.device, non_blocking=like.is_cuda)


class BatchNoise:
    """The noise of a batch: row i comes from stream i. This is the `rng` that inverters and enhancers are given."""

    def __init__(self, rows: Sequence[Noise]) -> None:
        self.rows = list(rows)

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal noise of x's shape (N, ...), drawn as float32 on the CPU, given in x's type on x's device.

        Raises:
            ValueError: x has another number of rows than there are streams.
        """
        if len(self.rows) != x.shape[0]:
            raise ValueError(f"{x.shape[0]} rows asked of {len(self.rows)} noise streams")
        return to_tensor_like(np.stack([row.normal(x.shape[1:]) for row in self.rows]), x)

    def pick(self, rows: Sequence[int]) -> BatchNoise:
        """The streams of these rows alone, in this order; each goes on where it was."""
        return BatchNoise([self.rows[row] for row in rows])


class SharedNoise:
    """A batch's noise from one source that draws all rows at once (as other programs do)."""

    def __init__(self, source: Noise) -> None:
        self.source = source

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal noise of x's shape from the one source."""
        return to_tensor_like(self.source.normal(x.shape), x)

    def pick(self, rows: Sequence[int]) -> SharedNoise:
        """The same source, which draws for as many rows as it is asked."""
        return self


class Rng(Protocol):
    """What inverters and enhancers draw noise from: `BatchNoise` in runs, `WholeNoise` in replays."""

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal noise of x's shape, type and device."""
        ...

    def pick(self, rows: Sequence[int]) -> Rng:
        """The noise of these rows alone, in this order."""
        ...


PREFETCH_THREADS = 8
"""At most; numpy draws without holding Python's lock."""


def batch_noise(rows: Sequence[Noise], device: str) -> BatchNoise:
    """The noise of a batch, drawn ahead for a card; a processor that computes has no threads left to draw with."""
    return PrefetchedNoise(rows) if device.startswith("cuda") else BatchNoise(rows)


class PrefetchedRow:
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


class PrefetchedNoise(BatchNoise):
    """A `BatchNoise` that begins with the next draw as soon as one is taken."""

    def __init__(self, rows: Sequence[Noise]) -> None:
        super().__init__([PrefetchedRow(row) if isinstance(row, ImageNoise) else row for row in rows])

    def normal_like(self, x: Tensor) -> Tensor:
        """See `BatchNoise.normal_like`."""
        made = super().normal_like(x)
        shape = tuple(x.shape[1:])
        early = [row for row in self.rows if isinstance(row, PrefetchedRow)]
        share = -(-len(early) // _prefetch_threads()) or 1
        for start in range(0, len(early), share):
            some = early[start : start + share]
            coming = _prefetch_pool().submit(_draw_rows, some, shape)
            for row in some:
                row.coming = coming
        return made

    def pick(self, rows: Sequence[int]) -> PrefetchedNoise:
        """The streams of these rows alone, with what was drawn ahead of them."""
        return PrefetchedNoise([self.rows[row] for row in rows])


def _draw_rows(rows: Sequence[PrefetchedRow], shape: tuple[int, ...]) -> None:
    """The next draw of some rows."""
    for row in rows:
        row.draw(shape)


def _prefetch_threads() -> int:
    """Threads that draw."""
    return max(1, min(PREFETCH_THREADS, (os.cpu_count() or 2) - 1))


@cache
def _prefetch_pool() -> ThreadPoolExecutor:
    """The threads, of which a process has one set."""
    return ThreadPoolExecutor(_prefetch_threads(), "odekit-noise")
