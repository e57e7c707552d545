"""Limits of worker processes: they die with the run, and reading one picture may take so much memory.

The formats' own limits are checked before a file is decoded (`odekit.images.formats.bounds`). This is the second line:
whatever a decoder does, the kernel refuses it more memory, and the picture fails alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
from collections.abc import Iterator
from pathlib import Path

BASE = 1 << 30
"""Bytes beyond what the process has, for a picture of any size."""
BYTES_PER_PIXEL = 100
"""Of the largest picture that is accepted: 16-bit samples, their planes as float32, and copies on the way."""
PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>."""

_enabled = False


def die_with_parent() -> None:
    """Ask the kernel to kill this process as soon as the thread that started it ends. Only Linux can."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def enable_memory_limit() -> None:
    """Let `memory_limit` take effect in this process; it is a worker, so that nobody else needs its memory."""
    global _enabled
    _enabled = True


@contextlib.contextmanager
def memory_limit(max_megapixels: float) -> Iterator[None]:
    """Limit the address space while a picture of at most `max_megapixels` is read; beyond it, MemoryError is raised.

    Has an effect in worker processes on Linux only.
    """
    limits = _address_space(int(min(BASE + BYTES_PER_PIXEL * max_megapixels * 1e6, 1e15))) if _enabled else None
    if limits is None:
        yield
        return
    import resource

    before, now = limits
    resource.setrlimit(resource.RLIMIT_AS, now)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _address_space(more: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """(present limits, limits that allow `more` bytes); None where they cannot be told or are lower already."""
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError, ValueError, IndexError):
        return None
    if resource.RLIM_INFINITY != soft <= used + more:
        return None
    return (soft, hard), (used + more, hard)
