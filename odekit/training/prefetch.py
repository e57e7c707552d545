"""Batches made while the device works on the one before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

B = TypeVar("B")


class Ahead(Generic[B]):
    """Makes the next step's batch in a thread. A batch is a pure function of its step, so nothing else changes."""

    def __init__(self, make: Callable[[int], B], active: bool) -> None:
        """Where not `active` (on a CPU, which has no time to spare) every batch is made when it is asked for."""
        self.make = make
        self.pool = ThreadPoolExecutor(1) if active else None
        self.waiting: tuple[int, Future[B]] | None = None

    def get(self, step: int) -> B:
        """The batch of this step; the next one is begun."""
        if self.pool is None:
            return self.make(step)
        ready = self.waiting is not None and self.waiting[0] == step
        batch = self.waiting[1].result() if ready and self.waiting else self.make(step)
        self.waiting = (step + 1, self.pool.submit(self.make, step + 1))
        return batch
