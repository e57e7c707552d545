"""Memory that a process holds and does not need: freed by Python, or of libraries that this job does not use."""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Callable
from pathlib import Path

MADV_DONTNEED = 4
"""Of Linux (madvise(2)): the pages may go; they are read again when they are used."""
NAMES = "cublas|cuda|cudnn|cufft|cufile|cupti|curand|cusolver|cusparse|nccl|nv|c10_cuda|torch_cuda|torch_nvshmem"
CODE_OF_GPUS = re.compile(rf"^([0-9a-f]+)-([0-9a-f]+) r-xp .*/lib(?:{NAMES})[^/]*\.so[^/]*$", re.MULTILINE)
"""Lines of /proc/self/maps: code of libraries for NVIDIA's GPUs."""


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


def return_gpu_libraries() -> None:
    """Take the code of CUDA's libraries out of this process's memory, in 5 ms; nothing on other systems than Linux.

    torch loads these libraries on a machine without a GPU, too, and the system maps 0.1 GB of their code around the few
    pages that are read then. Code is never written to, so the pages come back from the file if they are needed.
    """
    try:
        maps = Path("/proc/self/maps").read_text(errors="replace")
        advise = ctypes.CDLL(None).madvise
    except (AttributeError, OSError, TypeError):
        return
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for match in CODE_OF_GPUS.finditer(maps):
        first, end = (int(address, 16) for address in match.groups())
        advise(first, end - first, MADV_DONTNEED)  # refused for pages that a program has locked
