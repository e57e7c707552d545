"""The log of a run as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.errors import ConfigError
from odekit.train.log import Table


def smooth(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean of each value and the up to `window - 1` before it."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - window)
    return np.asarray((total[end] - total[start]) / (end - start))


def draw(log: Table, validation: Table, path: Path) -> None:
    """Training loss (smoothed), validation figures and learning rate against the step, as a PNG.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("the plot of the log needs matplotlib: pip install 'odekit[train]'") from error

    figure = Figure(figsize=(9, 8), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[2, 3, 1])
    rows = log.rows()
    if rows:
        steps = np.array([int(r["step"]) for r in rows])
        losses = np.array([float(r["loss"]) for r in rows])
        top.plot(steps, smooth(losses, max(1, len(rows) // 50)), lw=1)
        bottom.plot(steps, [float(r["lr"]) for r in rows], lw=1)
    top.set(ylabel="training loss (weighted)")
    looks = validation.rows()
    for name in [n for n in looks[0] if n != "step"] if looks else []:
        style = {"lw": 2, "color": "black"} if name == "loss" else {"lw": 1, "alpha": 0.7}
        middle.plot([int(r["step"]) for r in looks], [float(r[name]) for r in looks], marker=".", label=name, **style)
    if looks:
        middle.legend(fontsize=7, ncols=3)
    middle.set(ylabel="validation", yscale="log")
    bottom.set(ylabel="learning rate", xlabel="step")
    fresh = path.with_name(path.name + ".new")
    figure.savefig(fresh, format="png", dpi=100)
    fresh.replace(path)
