"""Read ahead what a resume compares, where it has to wait for a disk.

To find a file done takes two small reads and the times of the input. From the cache of the system they cost next to
nothing; from a disk or over a network each is waited for, and a million of them one after the other take most of an
hour. Threads then read what comes next, so that it is in the cache when it is asked for. They decide nothing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from odekit.core.files import open_regular
from odekit.runs.inputs import Job
from odekit.runs.record import BLOCK

try:
    from resource import RUSAGE_THREAD, getrusage
except ImportError:  # not on this system
    getrusage = None  # type: ignore[assignment]

PROBE = 16
"""Jobs after which it is judged whether the disk is waited for."""
CHUNK, CHUNKS, DEPTH = 32, 128, 16
"""Jobs that one thread reads at a time; such portions until the next probe; portions that are read ahead."""
THREADS = 8
WAITS = 0.5
"""Waits for each job from which reading ahead is worth its processor time, which is that of the comparison again."""


def read_ahead(jobs: Sequence[Job], place: Callable[[str], str]) -> Iterator[Job]:
    """The jobs in their order; if the caller waits for the disk, the files of the next ones are read meanwhile.

    Args:
        jobs: of which the caller asks whether they are done.
        place: path of a result or of a record, by its name.
    """
    start = 0
    while start < len(jobs):
        before, probe = waits(), jobs[start : start + PROBE]
        yield from probe
        start += len(probe)
        if waits() - before > len(probe) * WAITS:
            for chunk in _threaded(jobs[start : start + CHUNKS * CHUNK], place):
                yield from chunk
                start += len(chunk)


def waits() -> int:
    """How many times this thread has waited so far, for a disk or another thread; 0 where that is not known."""
    return 0 if getrusage is None else getrusage(RUSAGE_THREAD).ru_nvcsw


def _threaded(jobs: Sequence[Job], place: Callable[[str], str]) -> Iterator[Sequence[Job]]:
    """Portions of the jobs whose files have been read, until one has none."""
    rest = (jobs[i : i + CHUNK] for i in range(0, len(jobs), CHUNK))
    pending: deque[tuple[Sequence[Job], Future[bool]]] = deque()
    with ThreadPoolExecutor(THREADS, "read-ahead") as pool:
        try:
            for chunk in rest:
                pending.append((chunk, pool.submit(_read, chunk, place)))
                if len(pending) == DEPTH:
                    ready, found = pending.popleft()
                    some = found.result()
                    yield ready
                    if not some:  # new jobs, of which nothing is there
                        return
            while pending:
                ready, found = pending.popleft()
                found.result()
                yield ready
        finally:
            for _, found in pending:
                found.cancel()


def _read(jobs: Sequence[Job], place: Callable[[str], str]) -> bool:
    """Read what is compared of some jobs; whether any of them has a record."""
    some = False
    for job in jobs:
        path = place(job.name)
        if _touch(f"{path}.json"):
            some = True
            _touch(path)
            _touch(job.file, read=False)
    return some


def _touch(path: str, read: bool = True) -> bool:
    """Have the system know a file, and its first and last block; whether it is there."""
    try:
        if not read:
            Path(path).stat()
            return True
        file = open_regular(path)
        try:
            size = len(os.pread(file, BLOCK, 0))
            if size == BLOCK:
                os.pread(file, BLOCK, max(0, os.fstat(file).st_size - BLOCK))
        finally:
            os.close(file)
    except (OSError, ValueError):
        return False
    return True
