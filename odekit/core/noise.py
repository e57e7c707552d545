"""One noise stream per image, so that its noise does not depend on the rest of the batch, the order or the device.

Each image has a numpy `Generator(Philox)` keyed by SHA-256 of (run seed, pixels as first decoded, position in the
chain, face number, sample number). Numbers are drawn on the CPU as float32. No global generator is used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from numbers import Integral
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


PREFETCH_THREADS = 8
"""Maximum number of threads that draw noise; numpy releases the GIL meanwhile."""


class Noise(Protocol):
    """A source of random numbers. Tests replay stored draws through the same interface."""

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Standard normal float32 numbers of this shape; each call advances the stream."""
        ...


class Rng(Protocol):
    """The noise source of inverters and enhancers: `BatchNoise` in runs, `SharedNoise` in replays."""

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal noise of x's shape, type and device."""
        ...

    def select(self, rows: Sequence[int]) -> Rng:
        """The noise source of these rows, in this order."""
        ...


def checked_seed(seed: object) -> int:
    """A seed as an int, also one of numpy's. Raises ValueError for anything but a whole number of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"the seed must be a whole number of at least 0, not {seed!r}")
    return int(seed)


def noise_generator(seed: int, origin: str, place: str, face: int = 0, sample: int = 0) -> np.random.Generator:
    """The generator of one image at one position of a chain."""
    key = hashlib.sha256(f"odekit-noise-1|{seed}|{origin}|{place}|{face}|{sample}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key[:16], dtype="<u8")))


class ImageNoise:
    """The noise of one image, drawn from its keyed generator."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Standard normal float32 numbers of this shape."""
        return self.generator.standard_normal(tuple(shape), dtype=np.float32)


class ReplayNoise:
    """Stored draws in call order, for tests that reproduce the run of another program."""

    def __init__(self, draws: Iterable[NDArray[np.float32]]) -> None:
        self.draws = iter(draws)

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """The next stored draw, which must have this shape."""
        draw = np.asarray(next(self.draws), dtype=np.float32)
        if draw.shape != tuple(shape):
            raise ValueError(f"the stored draw has shape {draw.shape}, the requested shape is {tuple(shape)}")
        return draw


class ZeroNoise:
    """Zeros instead of noise, for the padding rows of a batch."""

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Zeros of this shape."""
        return np.zeros(tuple(shape), dtype=np.float32)


def array_to_tensor_like(numbers: NDArray[Any], like: Tensor) -> Tensor:
    """A CPU array as a tensor of the type and on the device of `like`, without synchronising with a GPU."""
    return array_to_device_of(numbers, like).to(like.dtype)


def array_to_device_of(numbers: NDArray[Any], like: Tensor) -> Tensor:
    """A CPU array as a tensor of the array's type, on the device of `like`."""
    import torch

    tensor = torch.from_numpy(numbers)
    if like.is_cuda:  # only copies from pinned memory overlap with work on the GPU
        tensor = tensor.pin_memory()
    return tensor.to(device=like.device, non_blocking=like.is_cuda)


class BatchNoise:
    """The noise of a batch: row i is drawn from stream i. Inverters and enhancers receive it as `rng`."""

    def __init__(self, rows: Sequence[Noise]) -> None:
        self.rows = list(rows)

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal noise of x's shape (N, ...), drawn as float32 on the CPU, returned in x's type on x's device.

        Raises:
            ValueError: the number of rows of x is not the number of streams.
        """
        if len(self.rows) != x.shape[0]:
            raise ValueError(f"{x.shape[0]} rows requested from {len(self.rows)} noise streams")
        return array_to_tensor_like(np.stack([row.normal(x.shape[1:]) for row in self.rows]), x)

    def select(self, rows: Sequence[int]) -> BatchNoise:
        """The streams of these rows, in this order; each continues at its current position."""
        return BatchNoise([self.rows[row] for row in rows])


class SharedNoise:
    """The noise of a batch from one stream that draws all rows at once (as other programs do)."""

    def __init__(self, source: Noise) -> None:
        self.source = source

    def normal_like(self, x: Tensor) -> Tensor:
        """Standard normal noise of x's shape from the shared stream."""
        return array_to_tensor_like(self.source.normal(x.shape), x)

    def select(self, rows: Sequence[int]) -> SharedNoise:
        """The same shared stream, which draws for any number of rows."""
        return self


class PrefetchedRow:
    """The noise of one image whose next draw may already be prefetched."""

    def __init__(self, noise: ImageNoise) -> None:
        self.noise = noise
        self.pending: Future[None] | None = None
        """The task that prefetches the next draw."""
        self.prefetched: NDArray[np.float32] | None = None
        self.state_before: Any = None
        """The generator's state before the prefetched draw."""

    def draw(self, shape: tuple[int, ...]) -> None:
        """Prefetch the next draw, assuming that it has this shape."""
        self.state_before = self.noise.generator.bit_generator.state
        self.prefetched = self.noise.normal(shape)

    def normal(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Standard normal float32 numbers of this shape, the same as without prefetching."""
        if self.pending is None:
            return self.noise.normal(shape)
        self.pending.result()
        prefetched, self.pending, self.prefetched = self.prefetched, None, None
        if prefetched is not None and prefetched.shape == tuple(shape):
            return prefetched
        self.noise.generator.bit_generator.state = self.state_before
        return self.noise.normal(shape)


class PrefetchedNoise(BatchNoise):
    """A `BatchNoise` that prefetches the next draw, of the same shape, after each draw."""

    def __init__(self, rows: Sequence[Noise]) -> None:
        super().__init__([PrefetchedRow(row) if isinstance(row, ImageNoise) else row for row in rows])

    def normal_like(self, x: Tensor) -> Tensor:
        """See `BatchNoise.normal_like`."""
        noise = super().normal_like(x)
        shape = tuple(x.shape[1:])
        prefetchable = [row for row in self.rows if isinstance(row, PrefetchedRow)]
        rows_per_task = -(-len(prefetchable) // _prefetch_threads()) or 1
        for start in range(0, len(prefetchable), rows_per_task):
            task_rows = prefetchable[start : start + rows_per_task]
            pending = _prefetch_pool().submit(_draw_rows, task_rows, shape)
            for row in task_rows:
                row.pending = pending
        return noise

    def select(self, rows: Sequence[int]) -> PrefetchedNoise:
        """The streams of these rows, in this order, with their prefetched draws."""
        return PrefetchedNoise([self.rows[row] for row in rows])


def make_batch_noise(rows: Sequence[Noise], device: str) -> BatchNoise:
    """The noise of a batch, prefetched if the device is a GPU. On a CPU the network uses all threads."""
    return PrefetchedNoise(rows) if device.startswith("cuda") else BatchNoise(rows)


def _draw_rows(rows: Sequence[PrefetchedRow], shape: tuple[int, ...]) -> None:
    """Prefetch the next draw of these rows."""
    for row in rows:
        row.draw(shape)


def _prefetch_threads() -> int:
    """Number of threads that draw noise."""
    return max(1, min(PREFETCH_THREADS, (os.cpu_count() or 2) - 1))


@cache
def _prefetch_pool() -> ThreadPoolExecutor:
    """The thread pool of this process."""
    return ThreadPoolExecutor(_prefetch_threads(), "odekit-noise")
