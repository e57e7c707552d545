"""Whether an error means that memory ran out, on the processor or on a graphics card."""

from __future__ import annotations

_SAID = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def out_of_memory(error: BaseException) -> bool:
    """torch raises a MemoryError, its own OutOfMemoryError, or a RuntimeError that only says so."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID)
