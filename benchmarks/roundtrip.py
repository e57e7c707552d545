"""`python -m benchmarks roundtrip`: how exactly an image returns from inversion and decoding without an edit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.nfe import REFERENCE
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
    fixed_step_solvers,
    make_inverter,
    median,
    psnrs,
    subject_from_options,
)
from benchmarks.table import Goal, Row, Table
from odekit.core.abilities import HasRowFailures

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
    "trouble": "failure",
}
LOST = 2e-5
"""RMS error of x at 100 dB."""


def command(
    solvers: Solvers = None, steps: Steps = None, grids: Grids = None, prior: PriorName = "mixture",
    damaged: Damaged = None, limit: Limit = 32, seed: Seed = 0, device: Device = "auto", precision: Network = "auto",
    as_json: AsJson = False, plot: Plot = None,
) -> None:  # fmt: skip
    """Inversion and decoding without an edit: PSNR, 8-bit identity, calls, and where errors grow.

    Example: python -m benchmarks roundtrip --solver ddim --solver belm --steps 20 --limit 8
    """
    subject = subject_from_options(prior, damaged, limit, seed, device, precision)
    levels = steps or [20, 50, 100]
    print_result(roundtrip(subject, solvers or fixed_step_solvers(), levels, grids or ["auto"]), as_json, plot)


def roundtrip(subject: Subject, solvers: Sequence[str], steps: Sequence[int], grids: Sequence[str]) -> Table:
    """A row for each solver, grid and number of levels, and for DDIM-100 where dpmpp-2m is compared with it."""
    wanted = [(solver, n, grid) for n in steps for grid in grids for solver in solvers]
    if {("dpmpp-2m", 20), REFERENCE[:2]} <= {one[:2] for one in wanted} and REFERENCE not in wanted:
        wanted.append(REFERENCE)
    rows = [roundtrip_row(subject, *one) for one in wanted]
    reversible = {f"{row['solver']}, {row['grid']}, N = {row['steps']}": row for row in rows if row["reversible"]}
    least = 190.0 if subject.exact else 100.0
    goals = [Goal(f"{name}, worst picture", row["worst"], least, unit="dB") for name, row in reversible.items()]
    goals += [
        Goal(f"{name}, share identical in 8 bits", identical_share(row), least=1.0) for name, row in reversible.items()
    ]
    return Table("roundtrip", subject.description, COLUMNS, rows, [*goals, *gain_goals(rows)])


def roundtrip_row(subject: Subject, solver: str, steps: int, grid: str) -> Row:
    """One inversion and decoding; the decoding is compared with the inversion at every level."""
    inverter = make_inverter(subject, solver, steps, grid)
    counter, states = subject.prior.counter, [subject.clean]
    calls, step = counter.calls, inverter.solver.step

    def recording_step(field: Any, carry: Any, rho: float) -> Any:
        after = step(field, carry, rho)
        states.append(after.y)
        return after

    inverter.solver.step = recording_step  # type: ignore[method-assign]
    latent = inverter.invert(subject.clean, subject.zero_noise)
    inverter.solver.step = step  # type: ignore[method-assign]
    errors = []
    while latent.level >= 0:
        latent = inverter.descend(latent, subject.zero_noise)
        gap = latent.carry.y - states[latent.level + 1]
        errors.append(float(gap.flatten(1).pow(2).mean(dim=1).sqrt().max()) * inverter.levels.signal(latent.level))
    values = psnrs(latent.x, subject.clean)
    lost = next((steps - 2 - i for i, error in enumerate(errors) if not error <= LOST), None)
    trouble = latent.row_failures if isinstance(latent, HasRowFailures) else {}
    return {
        "solver": solver,
        "grid": inverter.options.grid,
        "steps": steps,
        "calls": counter.calls - calls,
        "psnr": median(values),
        "worst": min(-math.inf if math.isnan(value) else value for value in values),
        "identical": f"{count_identical(latent.x, subject.clean)}/{len(values)}",
        "growth": growth(errors),
        "level": None if lost is None else "the image" if lost < 0 else str(lost),
        "trouble": "; ".join(dict.fromkeys(trouble.values())),
        "reversible": inverter.solver.reversible,
    }


def identical_share(row: Row) -> float:
    """The share of images that returned identical in 8 bits."""
    count, _, total = row["identical"].partition("/")
    return int(count) / int(total)


def count_identical(a: Any, b: Any) -> int:
    """The number of images with equal 8-bit values."""
    from odekit.core.image import Image, from_state

    pairs = zip(from_state(a), from_state(b), strict=True)
    return sum(bool((Image(x).to_uint8() == Image(y).to_uint8()).all()) for x, y in pairs)


def growth(errors: Sequence[float]) -> float:
    """The mean growth factor per step of the worst image's error, from the first error that is not zero."""
    nonzero = [error for error in errors if error > 0]
    if len(nonzero) < 2 or not all(math.isfinite(error) for error in nonzero):
        return math.nan
    return float((nonzero[-1] / nonzero[0]) ** (1 / (len(nonzero) - 1)))


def gain_goals(rows: Sequence[Row]) -> list[Goal]:
    """dpmpp-2m with 20 + 20 calls against DDIM with 100 + 100 on the paper's grid, where both were measured."""
    short = [r["psnr"] for r in rows if r["solver"] == "dpmpp-2m" and r["steps"] == 20]
    long = [r["psnr"] for r in rows if (r["solver"], r["steps"], r["grid"]) == REFERENCE]
    if not short or not long:
        return []
    return [Goal("dpmpp-2m 20 + 20 over ddim 100 + 100 (medians)", max(short) - long[0], 15.0, unit="dB")]
