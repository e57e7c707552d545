"""Devices: selection, memory, and a description of the machine."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from pathlib import Path

from odekit.errors import DeviceError

LARGEST_BATCH_SIZE = 1 << 16
"""Rows of a network call. More are refused when they are asked for, and in run.json and records they are damage."""
LARGEST_THREADS = 1 << 12
"""Threads of a run; the same holds."""


def state_device(device: str) -> str:
    """The device of float64 states: `device`, or the CPU if the device has no float64 (mps)."""
    return "cpu" if device.startswith("mps") else device


def resolve_device(device: str) -> str:
    """Resolve `auto` to CUDA, MPS or the CPU, in this order, and check that a named device is available.

    Raises:
        DeviceError: an unknown device, or one that this machine does not have.
    """
    import torch

    kind = device.partition(":")[0]
    has_mps = torch.backends.mps.is_available()
    if kind == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    if kind not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"unknown device '{device}'; choose auto, cpu, cuda, cuda:N or mps")
    index = device.partition(":")[2]
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": has_mps}[kind]
    if kind == "cuda" and present and index and not (index.isdigit() and int(index) < torch.cuda.device_count()):
        raise DeviceError(
            f"device '{device}' is not available: this machine has {torch.cuda.device_count()} CUDA device(s)"
        )
    if not present:
        raise DeviceError(
            f"device '{device}' is not available: torch {torch.__version__} finds no {kind.upper()}; use --device cpu"
        )
    return device


_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")
"""Parts of the messages of RuntimeErrors that mean out of memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means out of memory: a MemoryError, or a RuntimeError of torch with such a message."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _OUT_OF_MEMORY)


def release_gpu_memory() -> None:
    """Release the unused GPU memory that torch has cached."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_gpu_fraction(device: str) -> float:
    """The free fraction of a GPU's memory; memory that torch has cached counts as used."""
    import torch

    free, total = torch.cuda.mem_get_info(torch.device(device))
    return free / total


def available_memory_bytes() -> float:
    """Available main memory in bytes; infinite if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return float("inf")


def peak_memory_bytes() -> float:
    """Peak memory of this process in bytes; 0 if unknown.

    On Linux from /proc, because `getrusage` counts what the parent used when it started this process, too.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
        return float(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return 0.0
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def peak_memory_gb() -> float:
    """Peak memory of this process in GB; 0 if unknown."""
    return peak_memory_bytes() / 1e9


def describe_machine(device: str) -> str:
    """Hardware, number of threads and torch version, as text."""
    import torch

    hardware = torch.cuda.get_device_name(device) if device.startswith("cuda") else describe_processor()
    return f"{hardware}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"


def describe_load() -> str:
    """The load average of the last minute, as text."""
    return f"load average {os.getloadavg()[0]:.0f}" if hasattr(os, "getloadavg") else "load unknown"


def describe_processor() -> str:
    """The processor's name and the number of cores, as text."""
    return f"{processor_name()} ({os.cpu_count()} cores)"


def processor_name() -> str:
    """The processor's name, from /proc/cpuinfo or else from Python's `platform`."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    # platform.processor() starts a program, which the system then counts with as much memory as this process.
    return next(names, "") or platform.processor() or platform.machine()
