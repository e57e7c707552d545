"""How many threads work on one picture beside the network: as many as the network has."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from odekit.core.processors import usable_processors

T = TypeVar("T")
S = TypeVar("S")


def thread_count() -> int:
    """Threads of torch where it is loaded, so that its settings hold here too; else the processors of this process."""
    torch: Any = sys.modules.get("torch")
    try:
        return max(1, int(torch.get_num_threads()))
    except AttributeError:  # not loaded, or another thread is importing it
        return usable_processors()


def in_threads(function: Callable[[T], S], items: Iterable[T]) -> list[S]:
    """`function` of each item, in their order, by `thread_count()` threads.

    For functions that spend their time in numpy, scipy, OpenCV or Pillow, which let other threads run meanwhile.
    """
    listed = list(items)
    threads = min(thread_count(), len(listed))
    if threads < 2:
        return [function(item) for item in listed]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, listed))
