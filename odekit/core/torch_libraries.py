"""Load torch's libraries without Python's lock, while another thread works.

A quarter of the time of `import torch` is the system's linking of its libraries, which holds the lock. Nothing of
torch is imported or run here: the import that follows finds the libraries in memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import sys
from pathlib import Path

LIBRARIES = ("libtorch_global_deps.so", "libtorch.so")
"""In the order, and with the visibility of names, in which torch loads them."""


def load_torch_libraries() -> bool:
    """Load the libraries of an installed torch; False where there is nothing to gain, or where that does not work.

    On other systems than Linux, and for builds without these files, nothing happens.
    """
    if not sys.platform.startswith("linux") or "torch" in sys.modules:
        return False
    with contextlib.suppress(ImportError, ValueError, OSError, AttributeError):
        torch = importlib.util.find_spec("torch")
        if torch is None or torch.origin is None:
            return False
        files = [Path(torch.origin).parent / "lib" / name for name in LIBRARIES]
        if not all(file.is_file() for file in files):
            return False
        link = ctypes.CDLL(None).dlopen  # a call of a C function gives the lock back; `ctypes.CDLL(file)` does not
        link.restype, link.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
        modes = (os.RTLD_NOW | os.RTLD_GLOBAL, os.RTLD_NOW)
        return all(link(os.fsencode(file), mode) for file, mode in zip(files, modes, strict=True))
    return False
