"""Map a function over chunks of a long list, in one or several processes, with the results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Chunk = TypeVar("Chunk")
Outcome = TypeVar("Outcome")
CHUNKS_IN_FLIGHT = 4
"""Chunks in flight per process: enough that no process waits, few enough that memory does not grow with the list."""


def map_in_order(work: Callable[[Chunk], Outcome], chunks: Iterable[Chunk], processes: int) -> Iterator[Outcome]:
    """Yield `work(chunk)` for each chunk, in order.

    Args:
        work: a module-level function (or a `functools.partial` of one) whose arguments can be pickled.
        chunks: the inputs, consumed lazily.
        processes: number of processes; at most 1 means this process. The results do not depend on it.
    """
    if processes <= 1:
        yield from map(work, chunks)
        return
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor

    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        running: deque[Future[Outcome]] = deque()
        try:
            for chunk in chunks:
                running.append(pool.submit(work, chunk))
                if len(running) >= CHUNKS_IN_FLIGHT * processes:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
