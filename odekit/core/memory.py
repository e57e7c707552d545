"""Memory that was freed and that the C library still holds for later."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def return_free_memory() -> None:
    """Return what was freed to the system, in some milliseconds; nothing where the C library is not GNU's.

    Arrays of many sizes leave gaps that the next large ones do not fit into: after the search of faces in a photograph
    of 12 megapixels they are 50 MB. Call it before large arrays are made, not between calls of a network, which uses
    the same memory again.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        library: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return library
