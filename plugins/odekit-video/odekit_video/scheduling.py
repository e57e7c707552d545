"""Encoders that take the processors for themselves."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def without_real_time() -> Iterator[None]:
    """Take back the real-time scheduling that an encoder gives to the calling thread and to its own.

    libsvtav1 does so where it may, as for root in a container: SCHED_FIFO of priority 99, before which any other
    program waits, and which every process that is started later inherits.
    """
    before = real_time_threads()
    try:
        yield
    finally:
        for thread in real_time_threads() - before:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def real_time_threads() -> set[int]:
    """The threads of this process that are scheduled in real time; none on other systems than Linux."""
    found = set()
    with contextlib.suppress(OSError, AttributeError):
        for thread in (int(entry.name) for entry in Path("/proc/self/task").iterdir()):
            with contextlib.suppress(OSError):
                if os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR):
                    found.add(thread)
    return found
