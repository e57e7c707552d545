"""Work on several frames at once. The results keep their order and do not depend on the number of threads."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
MOST = 8
"""Threads at most: each holds a frame, and a search of faces its own networks."""


def thread_count() -> int:
    """How many threads the networks use, as OMP_NUM_THREADS says; at most `MOST`."""
    import torch

    return min(torch.get_num_threads(), MOST)


@contextlib.contextmanager
def threads_shared(workers: int) -> Iterator[None]:
    """While so many frames are worked on at once, the networks and OpenCV have their share of the threads each.

    A network of all threads for one frame leaves most of them idle in the work between its calls.
    """
    import cv2
    import torch

    threads, opencv = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(max(1, threads // workers))
    cv2.setNumThreads(max(1, opencv // workers))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(opencv)


def map_ahead(
    work: Callable[[Item], Outcome],
    items: Iterable[Item],
    threads: int,
    ahead: int | None = None,
    abandon: Callable[[], None] | None = None,
) -> Iterator[Outcome]:
    """`work(item)` for each item, in order, computed while the caller is at earlier ones.

    Args:
        work: called in `threads` threads; what it raises is raised in its turn.
        items: consumed in the thread of the caller.
        threads: number of threads.
        ahead: outcomes that wait for the caller at most; None: two for each thread.
        abandon: called before work that is under way is waited for, if the caller ends early: it may shorten that.
    """
    pool = ThreadPoolExecutor(threads)
    running: deque[Future[Outcome]] = deque()
    try:
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > (ahead or 2 * threads):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    except BaseException:
        if abandon is not None:
            abandon()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of this length; the last one may be shorter."""
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch
