"""`odekit bench speed|profile`: what a network call costs, and what else there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]


def speed(
    batch: Annotated[list[int] | None, typer.Option("--batch-size", min=1, help="Again for more rows.")] = None,
    steps: Annotated[int, typer.Option(min=2, help="Levels of the grid, a divisor of 1000.")] = 5,
    iterations: Annotated[int, typer.Option(min=1, help="Langevin updates at each of two levels.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Counted rounds; the least is shown.")] = 3,
    device: Device = "auto",
    as_json: AsJson = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw ms per call over batch sizes.")] = None,
) -> None:
    """odekit against a plain loop over the diffusers library: same weights, calls, threads and batch.

    Example: odekit bench speed --batch-size 1 --batch-size 8
    """
    from odekit.bench.speed import speed as measure
    from odekit.cli.bench_solvers import show
    from odekit.device import resolve_device
    from odekit.errors import ConfigError

    if 1000 % steps:
        raise ConfigError(f"--steps {steps}: a divisor of 1000, so that both grids are the same")
    show(measure(batch or [1, 8], steps, iterations, rounds, resolve_device(device)), as_json, plot)


def profile(
    batch: Annotated[int, typer.Option("--batch-size", min=1, help="Pictures in a network call.")] = 8,
    top: Annotated[int, typer.Option(min=1, help="So many rows.")] = 12,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Where the time of a restoration goes: operations by their own time.

    Example: odekit bench profile --top 8
    """
    from odekit.bench.profile import profile as measure
    from odekit.cli.bench_solvers import show
    from odekit.device import resolve_device

    show(measure(batch, top, resolve_device(device)), as_json, None)
