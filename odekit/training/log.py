"""The logs of a run (CSV files) and their plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import write_atomic
from odekit.errors import ConfigError


class CsvLog:
    """A CSV file with one row per step (or validation); the first column is the step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, str]]:
        """All complete rows. A last line that a kill cut off is skipped."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [r for r in csv.DictReader(file) if None not in r.values() and None not in r]

    def cut(self, step: int) -> None:
        """Drop the rows of steps after `step`."""
        if not self.path.is_file():
            return
        rows = [r for r in self.rows() if int(r["step"]) <= step]
        text = io.StringIO(newline="")
        if rows:
            writer = csv.DictWriter(text, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        write_atomic(text.getvalue().encode(), self.path)

    def add(self, row: Mapping[str, int | float]) -> None:
        """Append a row. Floats are written in full precision."""
        empty = not self.path.is_file() or self.path.stat().st_size == 0
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if empty:
                writer.writeheader()
            writer.writerow({k: repr(v) for k, v in row.items()})


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Running mean of `values` (n,): each value is averaged with up to `window - 1` values before it."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - window)
    return np.asarray((sums[end] - sums[start]) / (end - start))


def plot_losses(log: CsvLog, validation: CsvLog, path: Path) -> None:
    """Write a PNG plot of the smoothed training loss, the validation metrics and the learning rate over the steps.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("the plot of the losses needs matplotlib: pip install 'odekit[train]'") from error

    figure = Figure(figsize=(9, 8), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[2, 3, 1])
    rows = log.rows()
    if rows:
        steps = np.array([int(r["step"]) for r in rows])
        losses = np.array([float(r["loss"]) for r in rows])
        top.plot(steps, running_mean(losses, max(1, len(rows) // 50)), lw=1)
        bottom.plot(steps, [float(r["lr"]) for r in rows], lw=1)
    top.set(ylabel="training loss (weighted)")
    validations = validation.rows()
    if validations:
        steps = np.array([int(r["step"]) for r in validations])
        for name in [key for key in validations[0] if key != "step"]:
            style = {"lw": 2, "color": "black"} if name == "loss" else {"lw": 1, "alpha": 0.7}
            middle.plot(steps, [float(r[name]) for r in validations], marker=".", label=name, **style)
        middle.legend(fontsize=7, ncols=3)
    middle.set(ylabel="validation", yscale="log")
    bottom.set(ylabel="learning rate", xlabel="step")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100)
    write_atomic(data.getvalue(), path)
