"""`odekit bench order`: observed orders of all solvers, both ways, beside the stated ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from odekit.bench.table import Goal, Row, Table
from odekit.registry import catalog

COLUMNS = {
    "solver": "solver",
    "stated": "order",
    "up": "observed, up",
    "down": "observed, down",
    "nfe": "calls per step",
    "reversible": "reversible",
    "grid": "default grid",
}


def order(solvers: Sequence[str], steps: int = 96) -> Table:
    """A row for each solver: orders from runs with n, 2n and 4n steps on the curved field of the conformance kit."""
    from odekit.inverters.ode import best_grid
    from odekit.testing import observed_order

    rows: list[Row] = []
    for name in solvers:
        entry = catalog().get("solver", name)
        make = functools.partial(entry.load(), entry.options())
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
                "grid": best_grid(entry.options()),
            }
        )
    goals = [
        Goal(f"{row['solver']}: |observed - stated|, {way}", abs(row[way] - row["stated"]), most=0.1)
        for row in rows
        for way in ("up", "down")
        if not math.isnan(row[way])
    ]
    how = f"two-humped density of the conformance kit, rho 0.05 to 20; {steps}, {2 * steps} and {4 * steps} steps"
    return Table("order", how, COLUMNS, rows, goals, ("solver", ("up", "down")))
