"""The machine that figures belong to: what it is, what it could do at best, what else it does."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path


def described(device: str) -> str:
    """Hardware, threads, torch, and how busy it is, in words."""
    import torch

    what = torch.cuda.get_device_name(device) if device.startswith("cuda") else processor()
    return f"{what}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"


def load() -> str:
    """How many programs ran in the last minute, in words."""
    return f"{os.getloadavg()[0]:.0f} programs wanted to compute" if hasattr(os, "getloadavg") else "load unknown"


def processor() -> str:
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
