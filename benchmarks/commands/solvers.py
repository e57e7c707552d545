"""`odekit bench roundtrip|edit|order|nfe|sides|page`: solvers measured against each other and against the exact ODE."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmarks.subjects import Subject
    from benchmarks.table import Table

Solvers = Annotated[
    list[str] | None, typer.Option("--solver", help="A solver by name or YAML mapping; all fixed-step ones by default.")
]
Steps = Annotated[list[int] | None, typer.Option("--steps", help="Levels of the grid; give it again for more rows.")]
Grids = Annotated[list[str] | None, typer.Option("--grid", help="auto, uniform-t, karras or log-snr; again for more.")]
PriorName = Annotated[str, typer.Option("--prior", help="A prior by name, as a YAML mapping, or the folder of one.")]
Damaged = Annotated[
    bool | None,
    typer.Option("--damaged/--clean", help="Damaged pictures: the default where the prior is no exact one."),
]
Limit = Annotated[int, typer.Option(min=1, help="Pictures.")]
Tolerance = Annotated[float, typer.Option(min=1e-12, max=0.1, help="Of rk45, the yardstick.")]
Seed = Annotated[int, typer.Option(min=0, help="Of samples and damage.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Plot = Annotated[
    Path | None, typer.Option("--plot", help="Draw it into this file (png, svg or pdf); needs matplotlib.")
]


def roundtrip(
    solvers: Solvers = None, steps: Steps = None, grids: Grids = None, prior: PriorName = "mixture",
    damaged: Damaged = None, limit: Limit = 32, seed: Seed = 0, device: Device = "auto", precision: Precision = "auto",
    as_json: AsJson = False, plot: Plot = None,
) -> None:  # fmt: skip
    """Up and down again with nothing edited: PSNR, 8-bit identity, calls, and where errors grow.

    Example: odekit bench roundtrip --solver ddim --solver belm --steps 20 --limit 8
    """
    from benchmarks.roundtrip import roundtrip as measure

    where = on(prior, damaged, limit, seed, device, precision)
    show(measure(where, solvers or fixed_step(), steps or [20, 50, 100], grids or ["auto"]), as_json, plot)


def edit(
    solvers: Solvers = None, steps: Steps = None, grids: Grids = None, prior: PriorName = "mixture",
    damaged: Damaged = None, limit: Limit = 16, seed: Seed = 0, device: Device = "auto", precision: Precision = "auto",
    size: Annotated[float, typer.Option(min=0, help="RMS of the edit, in units of x.")] = 0.02,
    tolerance: Tolerance = 1e-8, as_json: AsJson = False, plot: Plot = None,
) -> None:  # fmt: skip
    """A small edit at the middle level: what becomes of it, against the exact ODE.

    Example: odekit bench edit --solver dpmpp-2m --steps 50 --limit 4
    """
    from benchmarks.edit import edit as measure

    where = on(prior, damaged, limit, seed, device, precision)
    show(measure(where, solvers or fixed_step(), steps or [50], grids or ["auto"], size, tolerance), as_json, plot)


def order(
    solvers: Solvers = None,
    steps: Annotated[int, typer.Option(min=8, help="Of the coarsest of three runs.")] = 96,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """Every registered solver, plugins included: order both ways beside the stated one, and the conformance kit.

    Example: odekit bench order
    """
    from benchmarks.order import order as measure
    from odekit.parts.installed import catalog

    show(measure(solvers or catalog().names("solver"), steps), as_json, plot)


def nfe(
    solvers: Solvers = None, steps: Steps = None, grids: Grids = None, prior: PriorName = "mixture",
    damaged: Damaged = None, limit: Limit = 32, seed: Seed = 0, device: Device = "auto", precision: Precision = "auto",
    tolerance: Tolerance = 1e-6, as_json: AsJson = False, plot: Plot = None,
) -> None:  # fmt: skip
    """How few network calls reach DDIM-100's round trip and its distance to the exact latent.

    Example: odekit bench nfe --solver dpmpp-2m --solver heun --steps 10 --steps 20 --limit 8
    """
    from benchmarks.nfe import nfe as measure

    where = on(prior, damaged, limit, seed, device, precision)
    grids, steps = grids or ["auto"], steps or [5, 10, 15, 20, 50]
    show(measure(where, solvers or fixed_step(), steps, grids, tolerance), as_json, plot)


def sides(
    side: Annotated[list[int] | None, typer.Option("--side", help="Pixels, a multiple of 32; again for more.")] = None,
    steps: Annotated[int, typer.Option(min=2, help="Levels of the grid.")] = 6,
    large: Annotated[bool, typer.Option("--large", help="Also a network of 114 million weights at 256 px.")] = False,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """Pictures of any size: calls, memory and 8-bit identity of whole runs with exact and random-weight priors.

    Example: odekit bench sides --side 64 --side 256
    """
    from benchmarks.sides import sides as measure
    from odekit.errors import ConfigError

    wrong = [one for one in side or [] if one < 32 or one % 32]
    if wrong:
        raise ConfigError(f"--side {wrong[0]}: a multiple of 32, at least 32")
    show(measure(side or [64, 256], steps, large), as_json, plot)


def page(
    results: Annotated[list[Path], typer.Argument(help="JSON files that the other benches printed.", exists=True)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path("docs/solvers.md"),
) -> None:
    """Write the page on solvers from what the benches printed.

    Example: odekit bench page docs/solvers/*.json -o docs/solvers.md
    """
    from benchmarks.page import page as compose

    out.write_text(compose(results), encoding="utf-8")


def fixed_step() -> list[str]:
    """All registered solvers but the adaptive ones."""
    import math

    from odekit.parts.installed import catalog

    found = [(name, catalog().get("solver", name)) for name in catalog().names("solver")]
    return [name for name, entry in found if not math.isnan(entry.load()(entry.options()).nfe_per_step)]


def on(prior: str, damaged: bool | None, limit: int, seed: int, device: str, precision: str) -> Subject:
    """What is measured on."""
    from benchmarks.commands.prior import load
    from benchmarks.subjects import subject

    made = load(prior, device, precision)
    return subject(made, prior, limit, not hasattr(made, "sample") if damaged is None else damaged, seed)


def show(table: Table, as_json: bool, plot: Path | None) -> None:
    """The table and its goals, or JSON; and a drawing."""
    from benchmarks.table import plot as draw
    from benchmarks.table import shown
    from odekit.cli.show import print_json, print_table
    from odekit.errors import ConfigError

    if plot is not None:
        try:
            draw(table, plot)
        except (ImportError, ValueError, OSError) as error:
            raise ConfigError(f"--plot {plot}: {error}") from error
    if as_json:
        said = [word for word in sys.argv[1:] if word != "--json"]
        print_json({"command": shlex.join(["odekit", *said])} | table.tree())
        return
    cells = [[shown(row[key]) for key in table.columns] for row in table.rows]
    print_table(table.how, list(table.columns.values()), cells)
    goals = [goal.tree() for goal in table.goals]
    if goals:
        rows = [(g["name"], g["value"], g["goal"], "yes" if g["reached"] else "NO") for g in goals]
        print_table("\nfigures to reach", ("figure", "measured", "goal", "reached"), rows)
