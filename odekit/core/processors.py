"""How many processors this process may use, and how many of them nothing else uses now."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Literal

from odekit.core.device import LARGEST_THREADS
from odekit.errors import ConfigError

CGROUPS = Path("/sys/fs/cgroup")
MOMENT, LONG_MOMENT = 0.05, 0.2
"""Least seconds for which the processors are watched. The system counts in hundredths of a second."""
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables that say how threads of OpenMP wait: of all implementations, of GNU's, of Intel's and LLVM's."""
Ticks = dict[int, tuple[int, int]]
"""Number of a processor -> its time without work, and its whole time."""


def parse_threads(text: str | None) -> int | Literal["free"] | None:
    """A number of threads as a user writes it. Raises ConfigError."""
    if text is None or text == "free":
        return None if text is None else "free"
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= number <= LARGEST_THREADS:
        raise ConfigError(f"--threads {text}: write a number from 1 to {LARGEST_THREADS}, or free")
    return number


def choose_threads(wanted: int | Literal["free"] | None, default: int) -> int:
    """The number of threads of a run that wants so many; None: the default."""
    number = free_processors() if wanted == "free" else default if wanted is None else wanted
    return min(number, LARGEST_THREADS)


def usable_processors() -> int:
    """Processors that this process may use at a time: by its affinity and the quota of its container. At least 1."""
    quota = read_quota()
    return max(1, min(len(_allowed()), math.ceil(quota) if quota else 1 << 16))


def free_processors() -> int:
    """About how many of the usable processors no other program uses now; at least 1.

    All where the system does not tell, as on Windows. On macOS by the load average of the last minute.
    """
    return max(1, usable_processors() - math.floor(LoadWatch().others(LONG_MOMENT) + 0.5))


class LoadWatch:
    """How many of the allowed processors other programs keep busy, from when it is made."""

    def __init__(self) -> None:
        self.began, self.own, self.ticks = time.monotonic(), time.process_time(), _read_ticks()

    def others(self, least: float = MOMENT) -> float:
        """Mean number since the beginning; sleeps if that was less than `least` seconds ago."""
        allowed = _allowed()
        if not self.ticks:
            return min(os.getloadavg()[0], len(allowed)) if hasattr(os, "getloadavg") else 0.0
        time.sleep(max(0.0, self.began + least - time.monotonic()))
        own = (time.process_time() - self.own) / (time.monotonic() - self.began)
        return max(0.0, busy_between(self.ticks, _read_ticks(), allowed) - own)


def busy_between(before: Ticks, after: Ticks, allowed: set[int]) -> float:
    """How many processors were at work between two readings of the counters."""
    busy = 0.0
    for number in allowed & before.keys() & after.keys():
        idle, whole = (now - then for now, then in zip(after[number], before[number], strict=True))
        busy += 1 - idle / whole if whole > 0 else 0.0
    return busy


def read_quota(root: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> float | None:
    """Processors that the control groups of this process allow it; None without a limit. Linux only."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        top = root if not controllers else root / controllers
        group = top / path.strip("/")
        inside = [group, *group.parents]
        for folder in inside[: inside.index(top) + 1]:  # inside a container only the top is there
            limits += _limit(folder, bool(controllers))
    return min(limits, default=None)


def _limit(folder: Path, first_version: bool) -> list[float]:
    """The limit of one control group, if it has one."""
    try:
        if first_version:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        else:
            quota, period = (folder / "cpu.max").read_text().split()
        return [float(quota) / float(period)] if float(quota) > 0 else []
    except (OSError, ValueError, ZeroDivisionError):  # ValueError: max
        return []


def _allowed() -> set[int]:
    """Numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _read_ticks(file: Path = Path("/proc/stat")) -> Ticks:
    """The counters of all processors; empty where there are none. Waiting for a disk is time without work."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return {}
    rows = [line.split() for line in lines if line.startswith("cpu") and line[3:4].isdigit()]
    return {int(row[0][3:]): (int(row[4]) + int(row[5]), sum(map(int, row[1:9]))) for row in rows}
