"""`odekit bench roundtrip`: how much of a picture comes back when nothing is edited."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.nfe import REFERENCE
from benchmarks.subjects import Subject, inverter, median, psnrs
from benchmarks.table import Goal, Row, Table

COLUMNS = {
    "solver": "solver",
    "grid": "grid",
    "steps": "N",
    "calls": "calls",
    "psnr": "PSNR, dB (median)",
    "worst": "worst",
    "identical": "identical in 8 bits",
    "growth": "growth per step down",
    "level": "lost at level",
    "trouble": "given up",
}
LOST = 2e-5
"""RMS error of x at 100 dB."""


def roundtrip(where: Subject, solvers: Sequence[str], steps: Sequence[int], grids: Sequence[str]) -> Table:
    """A row for each solver, grid and number of levels, and what dpmpp-2m is held against where that is measured."""
    wanted = [(solver, n, grid) for n in steps for grid in grids for solver in solvers]
    if {("dpmpp-2m", 20), REFERENCE[:2]} <= {one[:2] for one in wanted} and REFERENCE not in wanted:
        wanted.append(REFERENCE)
    rows = [trip(where, *one) for one in wanted]
    goals = [
        Goal(f"{row['solver']}, {row['grid']}, N = {row['steps']}, worst picture", row["worst"], 190.0, unit="dB")
        for row in rows
        if row["reversible"] and hasattr(where.prior.prior, "prior")
    ]
    goals += [
        Goal(f"{row['solver']}, {row['grid']}, N = {row['steps']}, worst picture", row["worst"], 100.0, unit="dB")
        for row in rows
        if row["reversible"] and not hasattr(where.prior.prior, "prior")
    ]
    same = [
        Goal(f"{row['solver']}, {row['grid']}, N = {row['steps']}, share identical in 8 bits", share(row), least=1.0)
        for row in rows
        if row["reversible"]
    ]
    return Table("roundtrip", where.what, COLUMNS, rows, [*goals, *same, *gain(rows)])


def trip(where: Subject, solver: str, steps: int, grid: str) -> Row:
    """Up and down once; the way down is compared with the way up at every level."""
    made = inverter(where, solver, steps, grid)
    counter, kept = where.prior.counter, [where.clean]
    calls, step = counter.calls, made.solver.step

    def keeping(field: Any, carry: Any, rho: float) -> Any:
        after = step(field, carry, rho)
        kept.append(after.y)
        return after

    made.solver.step = keeping  # type: ignore[method-assign]
    latent = made.invert(where.clean, where.silence)
    made.solver.step = step  # type: ignore[method-assign]
    errors = []
    while latent.level >= 0:
        latent = made.descend(latent, where.silence)
        gap = latent.carry.y - kept[latent.level + 1]
        errors.append(float(gap.flatten(1).pow(2).mean(dim=1).sqrt().max()) * made.levels.signal(latent.level))
    found = psnrs(latent.x, where.clean)
    lost = next((steps - 2 - i for i, error in enumerate(errors) if not error <= LOST), None)
    return {
        "solver": solver,
        "grid": made.options.grid,
        "steps": steps,
        "calls": counter.calls - calls,
        "psnr": median(found),
        "worst": min(-math.inf if math.isnan(value) else value for value in found),
        "identical": f"{identical(latent.x, where.clean)}/{len(found)}",
        "growth": growth(errors),
        "level": None if lost is None else "the image" if lost < 0 else str(lost),
        "trouble": "; ".join(dict.fromkeys(getattr(latent, "trouble", {}).values())),
        "reversible": made.solver.reversible,
    }


def share(row: Row) -> float:
    """Of the pictures that came back identical."""
    some, _, all_of_them = row["identical"].partition("/")
    return int(some) / int(all_of_them)


def identical(a: Any, b: Any) -> int:
    """How many pictures have the same 8-bit values."""
    from odekit.core.image import Image, from_state

    pairs = zip(from_state(a), from_state(b), strict=True)
    return sum(bool((Image(x).to_uint8() == Image(y).to_uint8()).all()) for x, y in pairs)


def growth(errors: Sequence[float]) -> float:
    """The mean factor by which the worst picture's error grows in a step, from the first one that is not zero."""
    seen = [error for error in errors if error > 0]
    if len(seen) < 2 or not all(math.isfinite(error) for error in seen):
        return math.nan
    return float((seen[-1] / seen[0]) ** (1 / (len(seen) - 1)))


def gain(rows: Sequence[Row]) -> list[Goal]:
    """dpmpp-2m with 20 + 20 calls against DDIM with 100 + 100 on the paper's grid, where both were measured."""
    short = [r["psnr"] for r in rows if r["solver"] == "dpmpp-2m" and r["steps"] == 20]
    long = [r["psnr"] for r in rows if (r["solver"], r["steps"], r["grid"]) == REFERENCE]
    if not short or not long:
        return []
    return [Goal("dpmpp-2m 20 + 20 over ddim 100 + 100 (medians)", max(short) - long[0], 15.0, unit="dB")]
