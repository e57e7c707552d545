"""`python -m benchmarks start`: start-up times of whole processes."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from benchmarks.options import AsJson
from benchmarks.output import print_figures
from benchmarks.processes import MAIN, seconds
from benchmarks.table import Figure


def command(
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each command.")] = 5, as_json: AsJson = False
) -> None:
    """Time `import odekit`, `odekit --help` and `odekit check` as whole processes.

    Example: python -m benchmarks start
    """
    print_figures(start_up(runs), as_json)


def start_up(runs: int = 5) -> list[Figure]:
    """Median wall times after one warm-up; the interpreter's own start is subtracted from the import."""
    python = [sys.executable, "-c"]
    commands = {
        "import odekit": ([*python, "import odekit"], 0.2),
        "odekit --help": ([*python, MAIN, "--help"], 0.7),
        "odekit check odedit": ([*python, MAIN, "check", "odedit"], 1.5),
    }
    interpreter = median_seconds([*python, "pass"], runs)
    figures = []
    for name, (words, goal) in commands.items():
        value = median_seconds(words, runs) - (interpreter if name == "import odekit" else 0)
        figures.append(Figure(name, value, "s", goal, runs))
    return figures


def median_seconds(words: Sequence[str], runs: int) -> float:
    """The median wall time of a process over runs, after one that warms up."""
    seconds(words)
    return statistics.median(seconds(words) for _ in range(runs))
