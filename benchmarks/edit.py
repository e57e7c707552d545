"""`odekit bench edit`: does the way down answer an edit as the exact ODE does?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.subjects import Subject, inverter, median_psnr
from benchmarks.table import Goal, Row, Table
from odekit.core.interfaces import State
from odekit.core.schedule import signal
from odekit.parts.inverters.ode import PriorField
from odekit.parts.solvers.rk45 import Rk45, Rk45Options

COLUMNS = {
    "solver": "solver",
    "grid": "grid",
    "steps": "N",
    "level": "edited at level",
    "extra": "calls that the edit adds",
    "response": "response, dB",
    "fidelity": "fidelity, dB",
}


def edit(
    where: Subject,
    solvers: Sequence[str],
    steps: Sequence[int],
    grids: Sequence[str],
    size: float = 0.02,
    tolerance: float = 1e-8,
) -> Table:
    """A row for each solver, grid and N: an edit of `size` RMS in x at the middle level, medians over pictures.

    `fidelity` compares the decoded picture with rk45's from the same edited latent; `response` compares what the edit
    changed with what it changes in the exact ODE.
    """
    rows = [one(where, solver, n, grid, size, tolerance) for n in steps for grid in grids for solver in solvers]
    goals = [
        Goal(f"{row['solver']}, {row['grid']}, N = {row['steps']}: {what}", row[what], 60.0, unit="dB")
        for row in rows
        for what in ("response", "fidelity")
    ]
    how = f"{where.what}; edit of {size:g} RMS at the middle level, against rk45 at tolerance {tolerance:g}"
    return Table("edit", how, COLUMNS, rows, goals, ("solver", ("response", "fidelity")))


def one(where: Subject, solver: str, steps: int, grid: str, size: float, tolerance: float) -> Row:
    """One solver's answer."""
    import torch

    made = inverter(where, solver, steps, grid)
    middle, counter = steps // 2, where.prior.counter
    latent = made.invert(where.clean, where.silence)
    while latent.level > middle:
        latent = made.descend(latent, where.silence)
    draws = np.random.Generator(np.random.Philox(7)).standard_normal(tuple(where.clean.shape))
    moved = made.moved(latent, latent.x + size * torch.from_numpy(draws).to(latent.x.device))
    ends, exact, calls = [], [], []
    for way in (latent, moved):
        exact.append(decoded(where, way.x, made.levels.at(middle), tolerance))
        before = counter.calls
        while way.level >= 0:
            way = made.descend(way, where.silence)
        calls.append(counter.calls - before)
        ends.append(way.x)
    return {
        "solver": solver,
        "grid": made.options.grid,
        "steps": steps,
        "level": f"{middle} (rho {made.levels.at(middle):.2g})",
        "extra": calls[1] - calls[0],
        "response": median_psnr(ends[1] - ends[0], exact[1] - exact[0]),
        "fidelity": median_psnr(ends[1], exact[1]),
    }


def decoded(where: Subject, x: State, rho: float, tolerance: float) -> State:
    """The exact way down from x at rho: rk45, with a stop at the lowest trained level, below which eps has a kink."""
    field, solver = PriorField(where.prior), Rk45(Rk45Options(tolerance=tolerance))
    carry: Any = solver.start(field, x / signal(rho), rho)
    for stop in (where.prior.schedule.rho(0), 0.0):
        carry = solver.step(field, carry, stop)
    end: State = carry.y
    return end
