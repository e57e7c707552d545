"""`odekit bench`: measured figures, each beside what it should reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.commands import aligner, knobs, mend, photo, prior, solvers, speed, strength, upsampler

if TYPE_CHECKING:
    from benchmarks.processes import Figure

app = typer.Typer(help="Measured figures: solvers, weights, start, memory, overhead.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
for command in (
    solvers.roundtrip,
    solvers.edit,
    solvers.order,
    solvers.nfe,
    solvers.sides,
    solvers.page,
    speed.speed,
    speed.latency,
    speed.first_call,
    speed.profile,
    prior.prior,
    upsampler.upsampler,
    strength.strength,
    strength.colour,
    strength.blur,
    knobs.knobs,
    knobs.enhancers,
    photo.photo,
    mend.mend,
    aligner.aligner,
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
    from benchmarks.processes import start_up

    show(start_up(runs), as_json)


@app.command()
def memory(
    faces: Annotated[int, typer.Option(min=1, help="How many aligned faces.")] = 64, as_json: AsJson = False
) -> None:
    """Peak memory of `odekit run odedit` on aligned faces.

    Example: odekit bench memory
    """
    from benchmarks.processes import memory as measure

    show([measure(faces)], as_json)


@app.command()
def overhead(batch: Annotated[int, typer.Option(min=1, help="Faces in a batch.")] = 8, as_json: AsJson = False) -> None:
    """What the loop costs beside its network calls.

    Example: odekit bench overhead
    """
    from benchmarks.overhead import overhead as measure

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
    from benchmarks.scale import scale as measure

    figures = measure(files, fewer)
    if faces:
        from benchmarks.busy import idle

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
    from benchmarks.commands.solvers import show as show_table
    from benchmarks.rates import rates as measure

    show_table(measure(files, fewer, repeats), as_json, None)
