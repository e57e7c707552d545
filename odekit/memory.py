"""Memory of the processor and of graphics cards: whether it ran out, how much is left, and giving it back."""

from __future__ import annotations

import sys
from pathlib import Path

_SAID = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def out_of_memory(error: BaseException) -> bool:
    """torch raises a MemoryError, its own OutOfMemoryError, or a RuntimeError that only says so."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID)


def release() -> None:
    """Give unused memory of the graphics card back."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_share(device: str) -> float:
    """The share of a card's memory that nobody has taken; what torch keeps for its next call counts as taken."""
    import torch

    free, total = torch.cuda.mem_get_info(torch.device(device))
    return free / total


def available() -> float:
    """Bytes that the processor's side can still give; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return float("inf")


def most_held() -> float:
    """The most bytes that this process ever held; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
