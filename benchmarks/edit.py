"""`python -m benchmarks edit`: the response of the decoding to an edit, compared with the exact ODE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.options import AsJson, Device, Plot, PriorName
from benchmarks.output import print_result
from benchmarks.subjects import (
    Damaged,
    Grids,
    Limit,
    Network,
    Seed,
    Solvers,
    Steps,
    Subject,
    Tolerance,
    fixed_step_solvers,
    make_inverter,
    median_psnr,
    subject_from_options,
)
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


def command(
    solvers: Solvers = None, steps: Steps = None, grids: Grids = None, prior: PriorName = "mixture",
    damaged: Damaged = None, limit: Limit = 16, seed: Seed = 0, device: Device = "auto", precision: Network = "auto",
    size: Annotated[float, typer.Option(min=0, help="RMS of the edit, in units of x.")] = 0.02,
    tolerance: Tolerance = 1e-8, as_json: AsJson = False, plot: Plot = None,
) -> None:  # fmt: skip
    """The effect of a small edit at the middle level, compared with its effect in the exact ODE.

    Example: python -m benchmarks edit --solver dpmpp-2m --steps 50 --limit 4
    """
    subject = subject_from_options(prior, damaged, limit, seed, device, precision)
    names = solvers or fixed_step_solvers()
    print_result(edit(subject, names, steps or [50], grids or ["auto"], size, tolerance), as_json, plot)


def edit(
    subject: Subject,
    solvers: Sequence[str],
    steps: Sequence[int],
    grids: Sequence[str],
    size: float = 0.02,
    tolerance: float = 1e-8,
) -> Table:
    """A row for each solver, grid and N: an edit of `size` RMS in x at the middle level, medians over images.

    `fidelity` compares the decoded image with that of rk45 from the same edited latent; `response` compares the change
    by the edit with the change that the exact ODE makes of it.
    """
    rows = [edit_row(subject, solver, n, grid, size, tolerance) for n in steps for grid in grids for solver in solvers]
    goals = [
        Goal(f"{row['solver']}, {row['grid']}, N = {row['steps']}: {figure}", row[figure], 60.0, unit="dB")
        for row in rows
        for figure in ("response", "fidelity")
    ]
    how = f"{subject.description}; edit of {size:g} RMS at the middle level, against rk45 at tolerance {tolerance:g}"
    return Table("edit", how, COLUMNS, rows, goals, ("solver", ("response", "fidelity")))


def edit_row(subject: Subject, solver: str, steps: int, grid: str, size: float, tolerance: float) -> Row:
    """The row of one solver."""
    import torch

    inverter = make_inverter(subject, solver, steps, grid)
    middle, counter = steps // 2, subject.prior.counter
    latent = inverter.invert(subject.clean, subject.zero_noise)
    while latent.level > middle:
        latent = inverter.descend(latent, subject.zero_noise)
    draws = np.random.Generator(np.random.Philox(7)).standard_normal(tuple(subject.clean.shape))
    edited = inverter.moved(latent, latent.x + size * torch.from_numpy(draws).to(latent.x.device))
    ends, exact, calls = [], [], []
    for way in (latent, edited):
        exact.append(exact_decoding(subject, way.x, inverter.levels.at(middle), tolerance))
        before = counter.calls
        while way.level >= 0:
            way = inverter.descend(way, subject.zero_noise)
        calls.append(counter.calls - before)
        ends.append(way.x)
    return {
        "solver": solver,
        "grid": inverter.options.grid,
        "steps": steps,
        "level": f"{middle} (rho {inverter.levels.at(middle):.2g})",
        "extra": calls[1] - calls[0],
        "response": median_psnr(ends[1] - ends[0], exact[1] - exact[0]),
        "fidelity": median_psnr(ends[1], exact[1]),
    }


def exact_decoding(subject: Subject, x: State, rho: float, tolerance: float) -> State:
    """x at rho decoded by rk45, with a stop at the lowest trained level, below which eps has a kink."""
    field, solver = PriorField(subject.prior), Rk45(Rk45Options(tolerance=tolerance))
    carry: Any = solver.start(field, x / signal(rho), rho)
    for stop in (subject.prior.schedule.rho(0), 0.0):
        carry = solver.step(field, carry, stop)
    end: State = carry.y
    return end
