"""`python -m benchmarks first-call`: the time of `odekit run` until its first network call, part by part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.options import AsJson
from benchmarks.output import print_result
from benchmarks.table import Goal, Row, Table
from odekit.core import device
from odekit.core.image import Image

PATH = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
"""Makes `benchmarks` importable in the process that is measured, from whatever folder."""
COLUMNS = {"part": "part", "processor": "processor s", "wall": "wall s"}
WHOLE = "until the first network call"
GOAL = 3.0
"""CPU seconds, which hardly depend on other programs; about the wall time of an idle machine."""


def command(
    chain: Annotated[str, typer.Argument(help="A chain of aligned faces.")] = "odedit-fast",
    runs: Annotated[int, typer.Option(min=1, help="Fresh processes; the fastest one is shown.")] = 5,
    as_json: AsJson = False,
) -> None:
    """The time of a start until the first network call, part by part.

    Example: python -m benchmarks first-call --runs 3
    """
    print_result(first_call(chain, runs), as_json)


def first_call(chain: str = "odedit-fast", runs: int = 5) -> Table:
    """A row for each part of the start and one for the whole, of the fresh process with the least CPU time.

    Args:
        chain: of aligned faces.
        runs: processes, after one that warms up.
    """
    laps = [start_times(chain) for _ in range(runs + 1)][1:]
    least = min(laps, key=lambda one: sum(processor for processor, _ in one.values()))
    rows: list[Row] = [{"part": part, "processor": lap[0], "wall": lap[1]} for part, lap in least.items()]
    rows.append({"part": WHOLE} | {clock: sum(row[clock] for row in rows) for clock in ("processor", "wall")})
    goals = [Goal(f"{WHOLE}, processor time", rows[-1]["processor"], most=GOAL, unit="s")]
    machine = f"{device.describe_machine('cpu')}, least of {runs} runs; {device.describe_load()}"
    how = f"odekit run {chain} on one face, {machine}"
    return Table("first-call", how, COLUMNS, rows, goals, ("part", ("processor", "wall")))


def start_times(chain: str) -> dict[str, tuple[float, float]]:
    """(CPU seconds, wall seconds) of each part of the start of a fresh process."""
    from odekit.images.io import write

    with tempfile.TemporaryDirectory() as place:
        face = Path(place) / "face.png"
        write(Image(np.full((3, 64, 64), 0.5, dtype=np.float32)), face, format="png")
        python = [sys.executable, "-m", "benchmarks.first_call_process"]
        arguments = [chain, str(face), f"{place}/out", str(time.time())]
        finished = subprocess.run(
            [*python, *arguments], check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": PATH}
        )
    return {part: (processor, wall) for part, (processor, wall) in json.loads(finished.stdout).items()}
