"""One process at a time in a folder of the store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from odekit.store.space import trouble


@contextlib.contextmanager
def alone(place: Path, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold the folder's lock; `say` is told where another process has it. A dead process holds none.

    Raises:
        WeightsError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(place / ".lock")
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process is filling {place}; waiting for it")
            lock.acquire()
    except OSError as error:
        raise trouble(error, place) from error
    try:
        yield
    finally:
        lock.release()
