"""`odekit bench speed`: restorations by odekit and by a plain loop over diffusers, with the same weights and calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.clock import Clock
from benchmarks.peaks import card_memory, matrix_peak
from benchmarks.table import Goal, Row, Table
from odekit.core import device as machine
from odekit.core.device import out_of_memory, release_unused
from odekit.core.image import Image
from odekit.core.precision import arithmetic, has_tf32, stored

COLUMNS = {
    "method": "method",
    "precision": "precision",
    "batch": "batch",
    "calls": "calls",
    "seconds": "processor s per image",
    "wall": "wall s per image",
    "call": "ms per image and call",
    "ratio": "times as fast as the plain loop",
    "overhead": "beside the network, %",
    "peak": "share of the matrix peak, %",
    "memory": "peak memory, GB",
    "compiling": "first round, s",
}
PLAIN, OURS, COMPILED = "diffusers loop", "odekit", "odekit, compiled"


@dataclass(frozen=True)
class Task:
    """What every method does: `2 steps` calls up and down, `2 iterations` calls of Langevin updates."""

    batch: int
    steps: int
    iterations: int
    device: str

    @property
    def levels(self) -> list[int]:
        """Where the updates happen, as indices of the grid."""
        return [0, max(1, self.steps // 4)]

    @property
    def calls(self) -> int:
        """Network calls of a round."""
        return 2 * self.steps + 2 * self.iterations

    def pixels(self) -> Any:
        """Noise pictures (batch, 3, 64, 64), float32 in [0, 1]."""
        return np.random.Generator(np.random.Philox(0)).random((self.batch, 3, 64, 64), dtype=np.float32)


@dataclass
class Entrant:
    """A method at a precision: a round of its work, and its network."""

    method: str
    precision: str
    work: Callable[[], object]
    network: Any
    peak: str = ""
    """The precision of most of its products, where that is another one."""
    clock: Clock = field(default_factory=Clock)


def speed(
    batches: Sequence[int],
    steps: int = 5,
    iterations: int = 5,
    rounds: int = 3,
    device: str = "cpu",
    compile: bool = False,
    precisions: Sequence[str] = ("auto",),
) -> Table:
    """A row for each method and batch on the built-in prior, noise pictures, every method in turn in each round.

    Args:
        batches: pictures in a network call.
        steps: levels of the grid, a divisor of 1000.
        iterations: Langevin updates at each of two levels.
        rounds: counted rounds; the least one is shown, since other programs only ever add time.
        device: where the network runs.
        compile: also odekit with a compiled network.
        precisions: of odekit.
    """
    rows: list[Row] = []
    full = ""
    for batch in batches:
        try:
            rows += measured(Task(batch, steps, iterations, device), rounds, compile, precisions)
        except Exception as error:
            if not out_of_memory(error) or not rows:
                raise
            release_unused()
            full = f"; batch {batch} ran out of memory"
            break
    peaks = {name: matrix_peak(device, name) for name in dict.fromkeys(row["peak_of"] for row in rows)}
    for row in rows:
        row["peak"] = 100 * row["work"] / row["least"] / peaks[row["peak_of"]]
    first = rows[0]["precision"]
    ours = [row for row in rows if row["method"] == OURS and row["precision"] == first]
    goals = [goal for row in ours for goal in goals_of(row, device)]
    known = ", ".join(f"{peak / 1e9:.0f} in {name}" for name, peak in peaks.items())
    whose = "" if device.startswith("cuda") else " of processor time"
    how = (
        f"face64 on {machine.machine_text(device)}, products of matrices at {known} GFLOP/s{whose}; "
        f"{steps} levels, 2 x {iterations} updates, least of {rounds} rounds; {machine.load_text()}{full}"
    )
    return Table("speed", how, COLUMNS, rows, goals, ("batch", ("call",)))


def goals_of(row: Row, device: str = "cpu") -> list[Goal]:
    """What a row of odekit's should reach."""
    name = f"batch {row['batch']}: "
    if device.startswith("cuda"):
        return [Goal(f"{name}over the plain float32 loop", row["ratio"], least=5.0, unit="x")]
    return [
        Goal(f"{name}over the plain float32 loop", row["ratio"], least=2.0, unit="x"),
        Goal(f"{name}over the plain loop at equal precision", row["equal"], least=1.2, unit="x"),
        Goal(f"{name}overhead over bare calls", row["overhead"], most=2.0, unit="%"),
        Goal(f"{name}odedit-fast over the plain float32 loop with odedit's calls", fast(row), least=8.0, unit="x"),
    ]


def fast(row: Row) -> float:
    """How many times as fast `odedit-fast` is as the plain loop with the calls of `odedit`."""
    from odekit.chains.chain import Chain

    many, few = (Chain.load(name).plan().calls or 0 for name in ("odedit", "odedit-fast"))
    return float(row["ratio"]) * many / few


def measured(task: Task, rounds: int, compile: bool, precisions: Sequence[str] = ("auto",)) -> list[Row]:
    """The rows of one batch size."""
    ours = [odekits(task, one, name) for name in precisions for one in ([False, True] if compile else [False])]
    entrants = ours + [plain(task, name) for name in dict.fromkeys(("float32", *(one.precision for one in ours)))]
    hooks = [hook for one in entrants for hook in one.clock.watch(one.network, task.device)]
    for one in entrants:
        one.clock.warm_up(one.work)
    for _ in range(rounds):
        for one in entrants:
            one.clock.round(one.work)
    for hook in hooks:
        hook.remove()
    loops = {one.precision: one.clock.seconds(task.device) for one in entrants if one.method == PLAIN}
    work = flops(next(one.network for one in entrants if one.precision == "float32" and one.method == PLAIN), task)
    return [row_of(one, task, loops, work) for one in entrants]


def row_of(one: Entrant, task: Task, loops: dict[str, float], work: float) -> Row:
    """A row: `loops` are the plain loop's seconds by precision, `work` the operations of a round."""
    clock, seconds = one.clock, one.clock.seconds(task.device)
    return {
        "method": one.method,
        "precision": one.precision + (", convolutions in tf32" if one.peak not in ("", one.precision) else ""),
        "peak_of": one.peak or one.precision,
        "batch": task.batch,
        "calls": task.calls,
        "seconds": clock.processor / task.batch,
        "wall": clock.wall / task.batch,
        "call": 1e3 * seconds / task.batch / task.calls,
        "ratio": loops["float32"] / seconds,
        "equal": loops[one.precision] / seconds,
        "overhead": 100 * (seconds - clock.inside) / clock.inside,
        "work": work,
        "least": seconds,
        "memory": card_memory(task.device, one.network, one.work)
        if task.device.startswith("cuda")
        else machine.peak_memory(),
        "compiling": clock.first if one.method == COMPILED else None,
    }


def odekits(task: Task, compile: bool, precision: str = "auto") -> Entrant:
    """odekit, in a precision, or in the one that `auto` finds here."""
    from odekit.chains.chain import Chain

    enhancer = f"{{use: langevin, levels: {task.levels}, iterations: {task.iterations}}}"
    settings = [
        f"restore.inverter.steps={task.steps}",
        f"restore.enhancer={enhancer}",
        "restore.colour=keep",
        "restore.blur=keep",
    ]
    prior = f"priors.face={{use: face64, compile: {str(compile).lower()}}}"
    session = Chain.load("odedit", [*settings, prior]).open(
        device=task.device, precision=precision, batch_size=task.batch
    )
    images = [Image(pixels) for pixels in task.pixels()]
    network = next(iter(session.networks.values())).network  # type: ignore[attr-defined]
    return Entrant(COMPILED if compile else OURS, session.execution.precision, lambda: session.run(images), network)


def plain(task: Task, precision: str) -> Entrant:
    """The plain loop on pictures whose pixels are unshuffled already.

    float32 is as a user writes it: torch's own switches hold, and on a card that has TF32 its convolutions, which are
    most of the work, are in TF32.
    """
    import torch
    from diffusers import UNet2DModel

    from benchmarks.plain_loop import plain_loop
    from odekit.core.files import ASSETS

    dtype = getattr(torch, stored(precision))
    net = UNet2DModel.from_pretrained(ASSETS / "face64", torch_dtype=dtype).eval().to(task.device)
    small = unshuffled(task).to(dtype)
    timesteps = [level * 1000 // task.steps for level in task.levels]

    def model(x: Any, t: Any) -> Any:
        return net(x, t, return_dict=False)[0]

    def work() -> object:
        with arithmetic(precision, task.device) if precision == "tf32" else nullcontext():
            return plain_loop(model, small, task.steps, timesteps, task.iterations, prediction="v_prediction")

    mixed = precision == "float32" and has_tf32(task.device)
    return Entrant(PLAIN, precision, work, net, peak="tf32" if mixed else precision)


def unshuffled(task: Task) -> Any:
    """The pictures as the network takes them, (batch, 12, 32, 32)."""
    import torch

    return torch.nn.functional.pixel_unshuffle(torch.from_numpy(2 * task.pixels() - 1), 2).to(task.device)


def flops(net: Any, task: Task) -> float:
    """Products and sums of a round, as the plain network does them."""
    return task.calls * flops_of(net, unshuffled(task))


def flops_of(net: Any, x: Any) -> float:
    """Products and sums of one call, as the plain network does them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(x, torch.tensor(500, device=x.device), return_dict=False)
    return float(counter.get_total_flops())
