"""`odekit bench first-call`: seconds of `odekit run` on one face until its first network call, and where they go."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.table import Goal, Row, Table
from odekit.core import device
from odekit.core.image import Image

COLUMNS = {"part": "part", "processor": "processor s", "wall": "wall s"}
WHOLE = "until the first network call"
GOAL = 3.0
"""Seconds, in processor time, which other programs change little; on a machine at rest the wall's are about as many."""


def first_call(chain: str = "odedit-fast", runs: int = 5) -> Table:
    """A row for each part of the start and one for the whole, of the fresh process that took the processor least.

    Args:
        chain: of aligned faces.
        runs: processes, after one that warms up; other programs only ever add time.
    """
    laps = [once(chain) for _ in range(runs + 1)][1:]
    least = min(laps, key=lambda one: sum(processor for processor, _ in one.values()))
    rows: list[Row] = [{"part": part, "processor": lap[0], "wall": lap[1]} for part, lap in least.items()]
    rows.append({"part": WHOLE} | {clock: sum(row[clock] for row in rows) for clock in ("processor", "wall")})
    goals = [Goal(f"{WHOLE}, processor time", rows[-1]["processor"], most=GOAL, unit="s")]
    how = f"odekit run {chain} on one face, {device.machine_text('cpu')}, least of {runs} runs; {device.load_text()}"
    return Table("first-call", how, COLUMNS, rows, goals, ("part", ("processor", "wall")))


def once(chain: str) -> dict[str, tuple[float, float]]:
    """For each part of the start of a fresh process: seconds of the processor and of the wall."""
    from odekit.images.io import write

    with tempfile.TemporaryDirectory() as place:
        face = Path(place) / "face.png"
        write(Image(np.full((3, 64, 64), 0.5, dtype=np.float32)), face, format="png")
        command = [
            sys.executable,
            "-m",
            "benchmarks.first_call_process",
            chain,
            str(face),
            f"{place}/out",
            str(time.time()),
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {part: (processor, wall) for part, (processor, wall) in json.loads(done.stdout).items()}
