"""`odekit bench`: measured figures, each beside what it should reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from odekit.cli import (
    bench_aligner,
    bench_experiments,
    bench_knobs,
    bench_mend,
    bench_parity,
    bench_photo,
    bench_prior,
    bench_solvers,
    bench_speed,
    bench_strength,
    bench_upsampler,
)

if TYPE_CHECKING:
    from odekit.bench.processes import Figure

app = typer.Typer(help="Measured figures: solvers, weights, start, memory, overhead.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
for command in (
    bench_solvers.roundtrip,
    bench_solvers.edit,
    bench_solvers.order,
    bench_solvers.nfe,
    bench_solvers.sides,
    bench_solvers.page,
    bench_speed.speed,
    bench_speed.latency,
    bench_speed.first_call,
    bench_speed.profile,
    bench_prior.prior,
    bench_upsampler.upsampler,
    bench_strength.strength,
    bench_strength.colour,
    bench_strength.blur,
    bench_knobs.knobs,
    bench_knobs.enhancers,
    bench_experiments.table1,
    bench_experiments.synergy,
    bench_experiments.sweep,
    bench_experiments.tradeoff,
    bench_parity.parity,
    bench_photo.photo,
    bench_mend.mend,
    bench_aligner.aligner,
):
    app.command()(command)


def show(figures: list[Figure], as_json: bool) -> None:
    """A table, or JSON."""
    from odekit.cli.show import print_json, print_table

    if as_json:
        print_json([figure.tree() for figure in figures])
        return
    rows = [
        (f.name, f"{f.value:.3g} {f.unit}", f"<= {f.goal:g} {f.unit}", "yes" if f.reached else "NO", f.note)
        for f in figures
    ]
    print_table("", ("figure", "measured", "goal", "reached", "how"), rows)


@app.command()
def start(
    runs: Annotated[int, typer.Option(min=1, help="Counted runs of each command.")] = 5, as_json: AsJson = False
) -> None:
    """Time `import odekit`, `odekit --help` and `odekit check` as whole processes.

    Example: odekit bench start
    """
    from odekit.bench.processes import start_up

    show(start_up(runs), as_json)


@app.command()
def memory(
    faces: Annotated[int, typer.Option(min=1, help="How many aligned faces.")] = 64, as_json: AsJson = False
) -> None:
    """Peak memory of `odekit run odedit` on aligned faces.

    Example: odekit bench memory
    """
    from odekit.bench.processes import memory as measure

    show([measure(faces)], as_json)


@app.command()
def overhead(batch: Annotated[int, typer.Option(min=1, help="Faces in a batch.")] = 8, as_json: AsJson = False) -> None:
    """What the loop costs beside its network calls.

    Example: odekit bench overhead
    """
    from odekit.bench.overhead import overhead as measure

    show([measure(batch)], as_json)


@app.command()
def scale(
    files: Annotated[int, typer.Option(min=100, help="How many files are generated and run.")] = 100_000,
    fewer: Annotated[int, typer.Option(min=1, help="Files of the run that memory is compared with.")] = 10_000,
    faces: Annotated[int, typer.Option(min=0, help="Faces for the share of the network; 0 leaves it out.")] = 64,
    as_json: AsJson = False,
) -> None:
    """CPU time, memory and resume of the runner over many small files; how busy it keeps a network.

    Example: odekit bench scale --files 2000 --fewer 200 --faces 24
    """
    from odekit.bench.scale import scale as measure

    figures = measure(files, fewer)
    if faces:
        from odekit.bench.busy import idle

        figures.append(idle(max(faces, 16)))
    show(figures, as_json)


@app.command()
def rates(
    files: Annotated[int, typer.Option(min=3, help="Files that are generated, damaged and measured.")] = 20_000,
    fewer: Annotated[int, typer.Option(min=3, help="Files of the runs that memory is compared with.")] = 2_000,
    repeats: Annotated[int, typer.Option(min=1, help="Pictures of each kind of damage alone.")] = 20,
    as_json: AsJson = False,
) -> None:
    """How many pictures a second `odekit degrade` damages and `odekit eval` measures, and their memory.

    Example: odekit bench rates --files 200 --fewer 20 --repeats 2
    """
    from odekit.bench.rates import rates as measure
    from odekit.cli.bench_solvers import show as show_table

    show_table(measure(files, fewer, repeats), as_json, None)
