"""Memory that was freed goes back to the system where the C library keeps it."""

import ctypes
import subprocess
import sys
from pathlib import Path

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


GPU_CODE = """
import sys
import torch
from odekit.core.memory import CODE_OF_GPUS, return_gpu_libraries

def resident():
    sections = open("/proc/self/smaps").read().split("VmFlags")
    return sum(int(part.split("Rss:")[1].split()[0]) for part in sections if CODE_OF_GPUS.search(part))

before = resident()
return_gpu_libraries()
after = resident()
assert torch.ones(64, 64).matmul(torch.ones(64, 64)).sum() == 64**3
assert torch.cuda.is_available() in (True, False)  # calls into these libraries
print(before, after)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux lists what a process has mapped")
def test_code_for_gpus_is_taken_out_of_memory_and_still_works():
    out = subprocess.run([sys.executable, "-c", GPU_CODE], capture_output=True, text=True, check=True).stdout
    before, after = map(int, out.split())
    assert after < 0.1 * before or before == 0  # 0: a build of torch without CUDA


@pytest.mark.parametrize("loss", ["no maps", "no madvise"])
def test_on_another_system_that_code_stays(monkeypatch, loss):
    if loss == "no maps":
        monkeypatch.setattr(memory, "Path", lambda name: Path("/does/not/exist"))
    else:
        monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory.return_gpu_libraries()


def test_another_c_library_is_let_be(monkeypatch):
    def unknown(name):
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", unknown)
    memory._malloc_trim.cache_clear()
    memory.return_free_memory()
    memory._malloc_trim.cache_clear()
