"""`python -m benchmarks speed`: odekit and a plain loop over diffusers, with the same weights and calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from benchmarks.options import AsJson, Device, Plot, Rounds
from benchmarks.output import print_result
from benchmarks.peaks import gpu_memory, matrix_peak
from benchmarks.speed_methods import (
    COMPILED,
    ODEKIT,
    PLAIN,
    Method,
    Task,
    flops,
    loop_precision,
    odekit_method,
    plain_method,
)
from benchmarks.table import Goal, Row, Table
from odekit.core import device as machine
from odekit.core.device import is_out_of_memory, release_gpu_memory
from odekit.errors import ConfigError

COLUMNS = {
    "method": "method",
    "precision": "precision",
    "batch": "batch",
    "calls": "calls",
    "seconds": "processor s per image",
    "wall": "wall s per image",
    "call": "ms per image and call",
    "ratio": "times as fast as the plain loop",
    "equal": "as the plain loop in the same type",
    "overhead": "beside the network, %",
    "peak": "share of the matrix peak, %",
    "memory": "peak memory, GB",
    "compiling": "first round, s",
}


def command(
    batch: Annotated[
        list[int] | None, typer.Option("--batch-size", min=1, help="Repeatable; default: 1 and 8.")
    ] = None,
    steps: Annotated[int, typer.Option(min=2, help="Levels of the grid, a divisor of 1000.")] = 5,
    iterations: Annotated[int, typer.Option(min=1, help="Langevin updates at each of two levels.")] = 5,
    rounds: Rounds = 3,
    device: Device = "auto",
    compile: Annotated[bool, typer.Option("--compile", help="Also odekit with a compiled network.")] = False,
    precision: Annotated[
        list[str] | None,
        typer.Option(help="Precision of odekit: auto, float32, tf32, bfloat16, float16 or int8; repeatable."),
    ] = None,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """odekit against a plain loop over the diffusers library: same weights, calls, threads and batch.

    Example: python -m benchmarks speed --batch-size 1 --batch-size 8

    On a GPU: python -m benchmarks speed --batch-size 1 --batch-size 8 --batch-size 64 --batch-size 256 --plot speed.png
    """
    if 1000 % steps:
        raise ConfigError(f"--steps {steps}: a divisor of 1000, so that both grids are the same")
    where = machine.resolve_device(device)
    print_result(
        speed(batch or [1, 8], steps, iterations, rounds, where, compile, precision or ["auto"]), as_json, plot
    )


def speed(
    batches: Sequence[int],
    steps: int = 5,
    iterations: int = 5,
    rounds: int = 3,
    device: str = "cpu",
    compile: bool = False,
    precisions: Sequence[str] = ("auto",),
) -> Table:
    """A row for each method and batch size on the built-in prior and noise images; methods take turns in each round.

    Args:
        batches: images in a network call.
        steps: levels of the grid, a divisor of 1000.
        iterations: Langevin updates at each of two levels.
        rounds: counted rounds; the fastest one is shown.
        device: of the networks.
        compile: also odekit with a compiled network.
        precisions: of odekit.
    """
    rows: list[Row] = []
    left_out = ""
    for batch in batches:
        try:
            rows += measure_speed(Task(batch, steps, iterations, device), rounds, compile, precisions)
        except Exception as error:
            if not is_out_of_memory(error) or not rows:
                raise
            release_gpu_memory()
            left_out = f"; batch {batch} ran out of memory"
            break
    peaks = {name: matrix_peak(device, name) for name in dict.fromkeys(row["peak_of"] for row in rows)}
    for row in rows:
        row["peak"] = 100 * row["work"] / row["least"] / peaks[row["peak_of"]]
    first = rows[0]["precision"]
    odekit_rows = [row for row in rows if row["method"] == ODEKIT and row["precision"] == first]
    goals = [goal for row in odekit_rows for goal in goals_of(row, device)]
    rates = ", ".join(f"{peak / 1e9:.0f} in {name}" for name, peak in peaks.items())
    time = "" if device.startswith("cuda") else " of processor time"
    how = (
        f"face64 on {machine.describe_machine(device)}, products of matrices at {rates} GFLOP/s{time}; "
        f"{steps} levels, 2 x {iterations} updates, least of {rounds} rounds; {machine.describe_load()}{left_out}"
    )
    return Table("speed", how, COLUMNS, rows, goals, ("batch", ("call",)))


def goals_of(row: Row, device: str = "cpu") -> list[Goal]:
    """The goals of a row of odekit."""
    name = f"batch {row['batch']}: "
    if device.startswith("cuda"):
        return [Goal(f"{name}over the plain float32 loop", row["ratio"], least=5.0, unit="x")]
    return [
        Goal(f"{name}over the plain float32 loop", row["ratio"], least=2.0, unit="x"),
        Goal(f"{name}over the plain loop at equal precision", row["equal"], least=1.6, unit="x"),
        Goal(f"{name}overhead over bare calls", row["overhead"], most=2.0, unit="%"),
        Goal(
            f"{name}odedit-fast over the plain float32 loop with odedit's calls", fast_ratio(row), least=8.0, unit="x"
        ),
    ]


def fast_ratio(row: Row) -> float:
    """The speed of `odedit-fast` over that of the plain loop with the calls of `odedit`."""
    from odekit.chains.chain import Chain

    many, few = (Chain.load(name).plan().calls or 0 for name in ("odedit", "odedit-fast"))
    return float(row["ratio"]) * many / few


def measure_speed(task: Task, rounds: int, compile: bool, precisions: Sequence[str] = ("auto",)) -> list[Row]:
    """The rows of one batch size."""
    odekit_rows = [
        odekit_method(task, one, name) for name in precisions for one in ([False, True] if compile else [False])
    ]
    loop_precisions = dict.fromkeys(("float32", *(loop_precision(one.precision) for one in odekit_rows)))
    methods = odekit_rows + [plain_method(task, name) for name in loop_precisions]
    hooks = [hook for one in methods for hook in one.clock.watch(one.network, task.device)]
    for one in methods:
        one.clock.warm_up(one.work)
    for _ in range(rounds):
        for one in methods:
            one.clock.round(one.work)
    for hook in hooks:
        hook.remove()
    loops = {one.precision: one.clock.seconds(task.device) for one in methods if one.method == PLAIN}
    work = flops(next(one.network for one in methods if one.precision == "float32" and one.method == PLAIN), task)
    return [row_of(one, task, loops, work) for one in methods]


def row_of(one: Method, task: Task, loops: dict[str, float], work: float) -> Row:
    """A row; `loops` are the seconds of the plain loop by precision, `work` the operations of a round."""
    clock, seconds = one.clock, one.clock.seconds(task.device)
    gpu = task.device.startswith("cuda")
    return {
        "method": one.method,
        "precision": one.precision + (", convolutions in tf32" if one.peak not in ("", one.precision) else ""),
        "peak_of": one.peak or loop_precision(one.precision),
        "batch": task.batch,
        "calls": task.calls,
        "seconds": clock.processor / task.batch,
        "wall": clock.wall / task.batch,
        "call": 1e3 * seconds / task.batch / task.calls,
        "ratio": loops["float32"] / seconds,
        "equal": loops[loop_precision(one.precision)] / seconds,
        "overhead": 100 * (seconds - clock.inside) / clock.inside,
        "work": work,
        "least": seconds,
        "memory": gpu_memory(task.device, one.network, one.work) if gpu else machine.peak_memory_gb(),
        "compiling": clock.first if one.method == COMPILED else None,
    }
