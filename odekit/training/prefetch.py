"""Prefetching: the next batch is prepared while the device computes on the current one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

B = TypeVar("B")


class Prefetcher(Generic[B]):
    """Prepares the batch of the next step in a thread.

    A batch is a pure function of its step, so prefetching does not change it.
    """

    def __init__(self, make: Callable[[int], B], active: bool) -> None:
        """If not `active`, each batch is prepared on request: training on a CPU leaves no core idle."""
        self.make = make
        self.pool = ThreadPoolExecutor(1) if active else None
        self.pending: tuple[int, Future[B]] | None = None

    def get(self, step: int) -> B:
        """The batch of this step. Starts preparing the batch of the next one."""
        if self.pool is None:
            return self.make(step)
        prefetched = self.pending is not None and self.pending[0] == step
        batch = self.pending[1].result() if prefetched and self.pending else self.make(step)
        self.pending = (step + 1, self.pool.submit(self.make, step + 1))
        return batch
