"""Start-up times and peak memory, measured from outside on whole processes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAIN = "from odekit.cli import main; main()"


@dataclass(frozen=True)
class Figure:
    """One measured figure and what it should reach."""

    name: str
    value: float
    unit: str
    goal: float
    runs: int
    note: str = ""

    @property
    def reached(self) -> bool:
        """The value is at most the goal."""
        return self.value <= self.goal

    def tree(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "goal": self.goal,
            "reached": self.reached,
            "runs": self.runs,
            "note": self.note,
        }


def seconds(command: Sequence[str]) -> float:
    """Wall time of one process that must succeed."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def start_up(runs: int = 5) -> list[Figure]:
    """Median wall times after one warm-up; the interpreter's own start is taken off the import."""
    python = [sys.executable, "-c"]
    commands = {
        "import odekit": ([*python, "import odekit"], 0.2),
        "odekit --help": ([*python, MAIN, "--help"], 0.7),
        "odekit check odedit": ([*python, MAIN, "check", "odedit"], 1.5),
    }
    bare = _median([*python, "pass"], runs)
    figures = []
    for name, (command, goal) in commands.items():
        value = _median(command, runs) - (bare if name == "import odekit" else 0)
        figures.append(Figure(name, value, "s", goal, runs))
    return figures


def _median(command: Sequence[str], runs: int) -> float:
    seconds(command)
    return statistics.median(seconds(command) for _ in range(runs))


def peak_report() -> str:
    """A line of Python with which a process prints its ru_maxrss at its end: kilobytes on Linux, bytes on macOS."""
    return "import atexit, resource as r; atexit.register(lambda: print(r.getrusage(r.RUSAGE_SELF).ru_maxrss))"


def memory(faces: int = 64, steps: int = 4) -> Figure:
    """Peak resident memory of `odekit run odedit` on aligned faces; few steps, since memory does not grow with them."""
    import numpy as np

    from odekit.core.image import Image
    from odekit.images.io import write

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "faces"
        for i in range(faces):
            pixels = np.random.Generator(np.random.Philox(i)).random((3, 64, 64), dtype=np.float32)
            folder.mkdir(exist_ok=True)
            write(Image(pixels), folder / f"{i}.png", format="png")
        settings = ["--set", f"restore.inverter.steps={steps}", "--set", "restore.enhancer.iterations=1"]
        command = [
            sys.executable,
            "-c",
            f"{peak_report()}\n{MAIN}",
            "run",
            "odedit",
            str(folder),
            "-o",
            f"{place}/out",
            *settings,
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = int(done.stdout.split()[-1]) * unit / 1e9
    return Figure(f"peak memory, {faces} aligned faces", peak, "GB", 1.5, 1, f"{steps} levels, batch 8")
