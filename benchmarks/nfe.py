"""`odekit bench nfe`: how few network calls reach what DDIM reaches with 100 levels."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.subjects import Subject, inverter, median, psnrs, yardstick
from benchmarks.table import Goal, Row, Table

COLUMNS = {
    "solver": "solver",
    "grid": "grid",
    "steps": "N",
    "calls": "calls",
    "psnr": "round trip, dB (median)",
    "distance": "latent off rk45's (RMS)",
    "reaches": "DDIM-100's quality",
}
REFERENCE = ("ddim", 100, "uniform-t")


def nfe(
    where: Subject, solvers: Sequence[str], steps: Sequence[int], grids: Sequence[str], tolerance: float = 1e-6
) -> Table:
    """A row for each solver, grid and N, and the reference: DDIM on 100 levels of the paper's grid."""
    wanted = [(solver, n, grid) for solver in solvers for grid in grids for n in steps]
    wanted = [REFERENCE, *(one for one in wanted if one != REFERENCE)]
    made = [inverter(where, *one) for one in wanted]
    exact = yardstick(where, [m.levels.at(len(m.levels) - 1) for m in made], tolerance)
    rows: list[Row] = []
    for (solver, n, _), one in zip(wanted, made, strict=True):
        calls = where.prior.counter.calls
        latent = one.invert(where.clean, where.silence)
        off = (latent.x - exact[one.levels.at(n - 1)]).flatten(1).pow(2).mean(dim=1).sqrt().tolist()
        while latent.level >= 0:
            latent = one.descend(latent, where.silence)
        rows.append(
            {
                "solver": solver,
                "grid": one.options.grid,
                "steps": n,
                "calls": where.prior.counter.calls - calls,
                "psnr": median(psnrs(latent.x, where.clean)),
                "distance": -median([-value for value in off]),
            }
        )
    for row in rows:
        row["reaches"] = row["psnr"] >= rows[0]["psnr"] and row["distance"] <= rows[0]["distance"]
    enough = [row["calls"] for row in rows[1:] if row["reaches"]]
    goals = [Goal("fewest calls with DDIM-100's quality", float(min(enough, default=999)), most=40, unit="calls")]
    how = f"{where.what}; latents of rk45 at tolerance {tolerance:g}"
    return Table("nfe", how, COLUMNS, rows, goals, ("calls", ("psnr", "distance")))
