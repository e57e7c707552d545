"""`python -m benchmarks order`: every registered solver in the conformance kit; observed and stated orders."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from benchmarks.options import AsJson, Plot
from benchmarks.output import print_result
from benchmarks.subjects import Solvers, solver_part
from benchmarks.table import Goal, Row, Table
from odekit.core.interfaces import Solver
from odekit.parts.installed import catalog

COLUMNS = {
    "solver": "solver",
    "stated": "order",
    "up": "observed, up",
    "down": "observed, down",
    "nfe": "calls per step",
    "reversible": "reversible",
    "grid": "default grid",
    "kit": "conformance kit",
}


def command(
    solvers: Solvers = None,
    steps: Annotated[int, typer.Option(min=8, help="Steps of the coarsest of four runs.")] = 96,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """Every registered solver, plugins included: order in both directions, and the conformance kit.

    Example: python -m benchmarks order
    """
    print_result(order(solvers or catalog().names("solver"), steps), as_json, plot)


def order(solvers: Sequence[str], steps: int = 96) -> Table:
    """A row for each solver: orders from runs with n to 8n steps on the curved field of the conformance kit."""
    from odekit.parts.inverters.ode import best_grid
    from odekit.testing import observed_order

    rows: list[Row] = []
    for name in solvers:
        part = solver_part(name)
        make = functools.partial(catalog().get("solver", part.name).load(), part.options)
        solver = make()
        directions = () if math.isnan(solver.nfe_per_step) else (False, True)
        up, down = [observed_order(make, direction, steps) for direction in directions] or [math.nan, math.nan]
        rows.append(
            {
                "solver": name,
                "stated": solver.order,
                "up": up,
                "down": down,
                "nfe": solver.nfe_per_step,
                "reversible": solver.reversible,
                "grid": best_grid(part.options),
                "kit": conformance(make),
            }
        )
    goals = [
        Goal(f"{row['solver']}: |observed - stated|, {direction}", abs(row[direction] - row["stated"]), most=0.1)
        for row in rows
        for direction in ("up", "down")
        if not math.isnan(row[direction])
    ]
    goals += [Goal(f"{row['solver']}: checks of the kit failed", float(row["kit"] != "passed"), most=0) for row in rows]
    how = f"bimodal density of the conformance kit, rho 0.05 to 20; {steps} to {8 * steps} steps"
    return Table("order", how, COLUMNS, rows, goals, ("solver", ("up", "down")))


def conformance(make: Callable[[], Solver]) -> str:
    """`passed`, or the message of the failed check of the conformance kit."""
    from odekit.testing import check_solver

    try:
        check_solver(make, tolerance=0.1)
    except AssertionError as error:
        return str(error)
    return "passed"
