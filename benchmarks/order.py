"""`odekit bench order`: every registered solver in the conformance kit; observed orders beside the stated ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from benchmarks.subjects import solver_part
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


def order(solvers: Sequence[str], steps: int = 96) -> Table:
    """A row for each solver, a plugin's too: orders from runs with n, 2n and 4n steps on the kit's curved field."""
    from odekit.parts.inverters.ode import best_grid
    from odekit.testing import observed_order

    rows: list[Row] = []
    for name in solvers:
        part = solver_part(name)
        make = functools.partial(catalog().get("solver", part.name).load(), part.options)
        made = make()
        ways = () if math.isnan(made.nfe_per_step) else (False, True)
        up, down = [observed_order(make, way, steps) for way in ways] or [math.nan, math.nan]
        rows.append(
            {
                "solver": name,
                "stated": made.order,
                "up": up,
                "down": down,
                "nfe": made.nfe_per_step,
                "reversible": made.reversible,
                "grid": best_grid(part.options),
                "kit": conformance(make),
            }
        )
    goals = [
        Goal(f"{row['solver']}: |observed - stated|, {way}", abs(row[way] - row["stated"]), most=0.1)
        for row in rows
        for way in ("up", "down")
        if not math.isnan(row[way])
    ]
    goals += [Goal(f"{row['solver']}: checks of the kit failed", float(row["kit"] != "passed"), most=0) for row in rows]
    how = f"two-humped density of the conformance kit, rho 0.05 to 20; {steps}, {2 * steps} and {4 * steps} steps"
    return Table("order", how, COLUMNS, rows, goals, ("solver", ("up", "down")))


def conformance(make: Callable[[], Solver]) -> str:
    """`passed`, or what the conformance kit says is wrong."""
    from odekit.testing import check_solver

    try:
        check_solver(make, tolerance=0.1)
    except AssertionError as error:
        return str(error)
    return "passed"
