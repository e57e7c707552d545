"""Which device and precision a run uses."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path

from odekit.errors import DeviceError


def state_device(device: str) -> str:
    """Where float64 states live: on the device, or on the CPU where the device has no float64 (mps)."""
    return "cpu" if device.startswith("mps") else device


def resolve_device(device: str) -> str:
    """`auto` is CUDA, then MPS, then the CPU. Raises DeviceError for a device that is not there."""
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
            f"device '{device}' is not there: this machine has {torch.cuda.device_count()} CUDA device(s)"
        )
    if not present:
        raise DeviceError(
            f"device '{device}' is not there: torch {torch.__version__} finds no {kind.upper()}; use --device cpu"
        )
    return device


_SAID = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def out_of_memory(error: BaseException) -> bool:
    """torch raises a MemoryError, its own OutOfMemoryError, or a RuntimeError that only says so."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID)


def release_unused() -> None:
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


def available_bytes() -> float:
    """Bytes that the processor's side can still give; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return float("inf")


def peak_bytes() -> float:
    """The most bytes that this process ever held; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def machine_text(device: str) -> str:
    """Hardware, threads, torch, and how busy it is, in words."""
    import torch

    what = torch.cuda.get_device_name(device) if device.startswith("cuda") else processor_text()
    return f"{what}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"


def load_text() -> str:
    """How many programs ran in the last minute, in words."""
    return f"{os.getloadavg()[0]:.0f} programs wanted to compute" if hasattr(os, "getloadavg") else "load unknown"


def processor_text() -> str:
    """The processor's name and how many of it there are."""
    return f"{processor_name()} ({os.cpu_count()} cores)"


def processor_name() -> str:
    """The processor's name as Linux tells it; elsewhere what Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    # platform.processor() starts a program, which is said to hold as much memory as this one at that moment.
    return next(named, "") or platform.processor() or platform.machine()


def peak_memory() -> float:
    """The most memory that this process ever held, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
