"""`odekit bench speed|latency|first-call|profile`: what a network call costs, and what else there is."""

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
    compile: Annotated[bool, typer.Option("--compile", help="Also odekit with a compiled network.")] = False,
    precision: Annotated[
        list[str] | None, typer.Option(help="Of odekit: auto, float32, tf32, bfloat16 or float16; again for more rows.")
    ] = None,
    as_json: AsJson = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw ms per call over batch sizes.")] = None,
) -> None:
    """odekit against a plain loop over the diffusers library: same weights, calls, threads and batch.

    Example: odekit bench speed --batch-size 1 --batch-size 8

    On a card: odekit bench speed --batch-size 1 --batch-size 8 --batch-size 64 --batch-size 256 --plot speed.png
    """
    from benchmarks.commands.solvers import show
    from benchmarks.speed import speed as measure
    from odekit.core.device import resolve_device
    from odekit.errors import ConfigError

    if 1000 % steps:
        raise ConfigError(f"--steps {steps}: a divisor of 1000, so that both grids are the same")
    where = resolve_device(device)
    made = measure(batch or [1, 8], steps, iterations, rounds, where, compile, precision or ["auto"])
    show(made, as_json, plot)


def latency(
    chain: Annotated[str, typer.Argument(help="A chain of aligned faces.")] = "odedit-fast",
    threads: Annotated[list[int] | None, typer.Option(min=1, help="Again for more rows; 1 and all cores.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Counted rounds; the least is shown.")] = 5,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """How long one face takes once the network is loaded.

    Example: odekit bench latency odedit-fast --threads 2
    """
    from benchmarks.commands.solvers import show
    from benchmarks.latency import latency as measure
    from odekit.core.device import resolve_device

    show(measure(chain, threads or (), rounds, resolve_device(device)), as_json, None)


def first_call(
    chain: Annotated[str, typer.Argument(help="A chain of aligned faces.")] = "odedit-fast",
    runs: Annotated[int, typer.Option(min=1, help="Fresh processes; the least one is shown.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Where the seconds of a start go, until the first network call.

    Example: odekit bench first-call --runs 3
    """
    from benchmarks.commands.solvers import show
    from benchmarks.first_call import first_call as measure

    show(measure(chain, runs), as_json, None)


def profile(
    batch: Annotated[int, typer.Option("--batch-size", min=1, help="Pictures in a network call.")] = 8,
    top: Annotated[int, typer.Option(min=1, help="So many rows.")] = 12,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Where the time of a restoration goes: operations by their own time.

    Example: odekit bench profile --top 8
    """
    from benchmarks.commands.solvers import show
    from benchmarks.profile import profile as measure
    from odekit.core.device import resolve_device

    show(measure(batch, top, resolve_device(device)), as_json, None)
