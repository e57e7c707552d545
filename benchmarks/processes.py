"""Whole `odekit` processes, measured from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

MAIN = "from odekit.cli import main; main()"
"""Python that runs the command line."""
PRINT_PEAK = """import atexit
def peak():
    from odekit.core.device import peak_memory_bytes
    print(int(peak_memory_bytes()))
atexit.register(peak)
"""
"""Python that prints the peak memory of a process in bytes at its end."""
PRINT_USAGE = """import atexit, json, resource as r, sys
def usage():
    from odekit.core.device import peak_memory_bytes
    process, children = r.getrusage(r.RUSAGE_SELF), r.getrusage(r.RUSAGE_CHILDREN)
    cpu = process.ru_utime + process.ru_stime + children.ru_utime + children.ru_stime
    largest_child = children.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"cpu": cpu, "bytes": peak_memory_bytes() + largest_child}), flush=True)
atexit.register(usage)
"""
"""Python that prints, at the end of a process, its CPU seconds and peak memory with those of its largest child."""


def seconds(command: Sequence[str]) -> float:
    """Wall time of one process that must succeed."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def usage_command(*arguments: object) -> list[str]:
    """The command line of an `odekit` process that prints its usage as the last line."""
    return [sys.executable, "-c", PRINT_USAGE + MAIN, *map(str, arguments)]


def parse_usage(command: Sequence[str], code: int, out: str, err: str, began: float) -> dict[str, Any]:
    """CPU seconds ("cpu"), peak memory ("bytes") and wall time of a finished `usage_command`.

    Raises:
        RuntimeError: it failed.
    """
    wall = time.perf_counter() - began
    if code:
        raise RuntimeError(f"odekit {' '.join(command[3:])} ended with {code}: {err[-500:]}")
    usage: dict[str, Any] = json.loads(out.splitlines()[-1])
    return usage | {"wall": wall}


def megabytes(usage: dict[str, Any]) -> float:
    """Peak memory of a process and its largest child, MB."""
    return float(usage["bytes"]) / 1e6
