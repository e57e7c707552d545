"""Memory that was freed goes back to the system where the C library keeps it."""

import ctypes
import subprocess
import sys

import pytest

from odekit.core import memory

KEPT = """
import numpy as np
from odekit.core.memory import return_free_memory

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

held = [np.ones(20_000, np.float32) for _ in range(2_000)]  # 160 MB, below the size that is mapped by itself
last = np.ones(20_000, np.float32)
del held
before = resident()
return_free_memory()
print(before - resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not GNU's")
def test_memory_below_what_is_still_in_use_goes_back():
    freed = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True).stdout
    assert int(freed) > 100_000


def test_another_c_library_is_let_be(monkeypatch):
    def unknown(name):
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", unknown)
    memory._malloc_trim.cache_clear()
    memory.return_free_memory()
    memory._malloc_trim.cache_clear()
