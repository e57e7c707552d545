"""`python -m benchmarks nfe`: the fewest network calls that reach the quality of DDIM with 100 levels."""

from __future__ import annotations

from collections.abc import Sequence

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
    median,
    psnrs,
    reference_latents,
    subject_from_options,
)
from benchmarks.table import Goal, Row, Table

COLUMNS = {
    "solver": "solver",
    "grid": "grid",
    "steps": "N",
    "calls": "calls",
    "psnr": "round trip, dB (median)",
    "distance": "distance from the latent of rk45 (RMS)",
    "reaches": "DDIM-100's quality",
}
REFERENCE = ("ddim", 100, "uniform-t")


def command(
    solvers: Solvers = None, steps: Steps = None, grids: Grids = None, prior: PriorName = "mixture",
    damaged: Damaged = None, limit: Limit = 32, seed: Seed = 0, device: Device = "auto", precision: Network = "auto",
    tolerance: Tolerance = 1e-6, as_json: AsJson = False, plot: Plot = None,
) -> None:  # fmt: skip
    """The fewest network calls that reach DDIM-100's round trip and its distance to the exact latent.

    Example: python -m benchmarks nfe --solver dpmpp-2m --solver heun --steps 10 --steps 20 --limit 8
    """
    subject = subject_from_options(prior, damaged, limit, seed, device, precision)
    levels = steps or [5, 10, 15, 20, 50]
    print_result(nfe(subject, solvers or fixed_step_solvers(), levels, grids or ["auto"], tolerance), as_json, plot)


def nfe(
    subject: Subject, solvers: Sequence[str], steps: Sequence[int], grids: Sequence[str], tolerance: float = 1e-6
) -> Table:
    """A row for each solver, grid and N, and the reference: DDIM on 100 levels of the paper's grid."""
    wanted = [(solver, n, grid) for solver in solvers for grid in grids for n in steps]
    wanted = [REFERENCE, *(one for one in wanted if one != REFERENCE)]
    inverters = [make_inverter(subject, *one) for one in wanted]
    exact = reference_latents(subject, [one.levels.at(len(one.levels) - 1) for one in inverters], tolerance)
    rows: list[Row] = []
    for (solver, n, _), inverter in zip(wanted, inverters, strict=True):
        calls = subject.prior.counter.calls
        latent = inverter.invert(subject.clean, subject.zero_noise)
        off = (latent.x - exact[inverter.levels.at(n - 1)]).flatten(1).pow(2).mean(dim=1).sqrt().tolist()
        while latent.level >= 0:
            latent = inverter.descend(latent, subject.zero_noise)
        rows.append(
            {
                "solver": solver,
                "grid": inverter.options.grid,
                "steps": n,
                "calls": subject.prior.counter.calls - calls,
                "psnr": median(psnrs(latent.x, subject.clean)),
                "distance": -median([-value for value in off]),
            }
        )
    for row in rows:
        row["reaches"] = row["psnr"] >= rows[0]["psnr"] and row["distance"] <= rows[0]["distance"]
    enough = [row["calls"] for row in rows[1:] if row["reaches"]]
    goals = [Goal("fewest calls with DDIM-100's quality", float(min(enough, default=999)), most=40, unit="calls")]
    how = f"{subject.description}; latents of rk45 at tolerance {tolerance:g}"
    return Table("nfe", how, COLUMNS, rows, goals, ("calls", ("psnr", "distance")))
