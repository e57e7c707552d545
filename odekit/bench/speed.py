"""`odekit bench speed`: restorations by odekit and by a plain loop over diffusers, with the same weights and calls."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odekit.bench.table import Goal, Row, Table

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
    "memory": "peak memory so far, GB",
}
PLAIN = "diffusers loop"


@dataclass
class Clock:
    """What one method took: the least of several rounds, in processor time and on the wall."""

    processor: float = float("inf")
    wall: float = float("inf")
    inside: float = 0.0
    """Seconds in the network, of the round with the least processor time."""
    spent: float = field(default=0.0, repr=False)

    def round(self, work: Callable[[], object]) -> None:
        """One round."""
        import torch

        def done() -> tuple[float, float]:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            return time.process_time(), time.perf_counter()

        self.spent = 0.0
        processor, wall = done()
        work()
        after, later = done()
        if after - processor < self.processor:
            self.processor, self.inside = after - processor, self.spent
        self.wall = min(self.wall, later - wall)


def speed(batches: Sequence[int], steps: int = 5, iterations: int = 5, rounds: int = 3, device: str = "cpu") -> Table:
    """A row for each method and batch on the built-in prior, noise pictures, every method in turn in each round.

    Args:
        batches: pictures in a network call.
        steps: levels of the grid, a divisor of 1000.
        iterations: Langevin updates at each of two levels.
        rounds: counted rounds; the least one is shown, since other programs only ever add time.
        device: where the network runs.
    """
    import torch

    rows: list[Row] = []
    peak = matrix_peak(device)
    for batch in batches:
        rows += measured(batch, steps, iterations, rounds, device, peak)
    goals = []
    for row in rows:
        if row["method"] == "odekit":
            name = f"batch {row['batch']}: "
            goals.append(Goal(f"{name}over the plain float32 loop", row["ratio"], least=2.0, unit="x"))
            goals.append(Goal(f"{name}over the plain loop at equal precision", row["equal"], least=1.2, unit="x"))
            goals.append(Goal(f"{name}overhead over bare calls", row["overhead"], most=2.0, unit="%"))
    what = torch.cuda.get_device_name(device) if device.startswith("cuda") else processor()
    load = f"{os.getloadavg()[0]:.0f} programs wanted to compute" if hasattr(os, "getloadavg") else "load unknown"
    how = (
        f"face64 on {what}, {torch.get_num_threads()} thread(s), torch {torch.__version__}, product of matrices at "
        f"{peak / 1e9:.0f} GFLOP/s in float32; {steps} levels, 2 x {iterations} updates, "
        f"least of {rounds} rounds; {load}"
    )
    return Table("speed", how, COLUMNS, rows, goals, ("batch", ("call",)))


def measured(batch: int, steps: int, iterations: int, rounds: int, device: str, peak: float) -> list[Row]:
    """The rows of one batch size."""
    import numpy as np
    import torch

    from odekit.chain import Chain
    from odekit.image import Image
    from odekit.priors.options import ASSETS

    levels = [0, max(1, steps // 4)]
    enhancer = f"{{use: langevin, levels: {levels}, iterations: {iterations}}}"
    chain = Chain.load("odedit", [f"restore.inverter.steps={steps}", f"restore.enhancer={enhancer}"])
    session = chain.open(device=device, batch_size=batch)
    draws = np.random.Generator(np.random.Philox(0)).random((batch, 3, 64, 64), dtype=np.float32)
    images = [Image(pixels) for pixels in draws]
    small = torch.nn.functional.pixel_unshuffle(torch.from_numpy(2 * draws - 1), 2).to(device)
    clocks = {("odekit", session.precision): Clock()}
    works: dict[tuple[str, str], Callable[[], object]] = {("odekit", session.precision): lambda: session.run(images)}
    networks: dict[tuple[str, str], Any] = {
        ("odekit", session.precision): next(iter(session.priors.values())).prior.network  # type: ignore[attr-defined]
    }
    for precision in dict.fromkeys(("float32", session.precision)):
        from diffusers import UNet2DModel

        net = UNet2DModel.from_pretrained(ASSETS / "face64", torch_dtype=getattr(torch, precision)).eval().to(device)
        key = (PLAIN, precision)
        clocks[key], networks[key] = Clock(), net
        works[key] = plain_work(
            net, small.to(net.dtype), steps, [level * 1000 // steps for level in levels], iterations
        )
    hooks = [hook for key, net in networks.items() for hook in watched(net, clocks[key])]
    for work in works.values():
        work()  # the first time is another one
    for clock in clocks.values():
        clock.processor = clock.wall = float("inf")
    for _ in range(rounds):
        for key, work in works.items():
            clocks[key].round(work)
    for hook in hooks:
        hook.remove()
    calls = 2 * steps + 2 * iterations
    work_done = flops(networks[PLAIN, "float32"], small.float()) * calls
    on_card = device.startswith("cuda")

    def seconds(key: tuple[str, str]) -> float:
        return clocks[key].wall if on_card else clocks[key].processor

    return [
        {
            "method": key[0],
            "precision": key[1],
            "batch": batch,
            "calls": calls,
            "seconds": clock.processor / batch,
            "wall": clock.wall / batch,
            "call": 1e3 * seconds(key) / batch / calls,
            "ratio": seconds((PLAIN, "float32")) / seconds(key),
            "equal": seconds((PLAIN, key[1])) / seconds(key),
            "overhead": 100 * (seconds(key) - clock.inside) / clock.inside,
            "peak": 100 * work_done / seconds(key) / peak,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            * (1 if sys.platform == "darwin" else 1024)
            / 1e9,
        }
        for key, clock in clocks.items()
    ]


def plain_work(net: Any, small: Any, steps: int, timesteps: list[int], iterations: int) -> Callable[[], object]:
    """The plain loop on pictures whose pixels are unshuffled already."""
    from odekit.bench.plain_loop import plain_loop

    def model(x: Any, t: Any) -> Any:
        return net(x, t, return_dict=False)[0]

    return lambda: plain_loop(model, small, steps, timesteps, iterations, prediction="v_prediction")


def watched(net: Any, clock: Clock) -> list[Any]:
    """Hooks that add up the time inside a network."""
    import torch

    began = [0.0]

    def now() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    def enter(*_: object) -> None:
        began[0] = now()

    def leave(*_: object) -> None:
        clock.spent += now() - began[0]

    return [net.register_forward_pre_hook(enter), net.register_forward_hook(leave)]


def flops(net: Any, x: Any) -> float:
    """Products and sums of one call, as the plain network does them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(x, torch.tensor(500, device=x.device), return_dict=False)
    return float(counter.get_total_flops())


def matrix_peak(device: str, side: int = 1024) -> float:
    """Operations per second of a product of two float32 matrices, in processor time where it is the processor's."""
    import torch

    a = torch.randn((side, side), device=device)
    clock = Clock()
    for _ in range(6):
        clock.round(lambda: a @ a)
    return 2 * side**3 / (clock.wall if device.startswith("cuda") else clock.processor)


def processor() -> str:
    """The processor's name and how many of it there are."""
    import platform

    name = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name} ({os.cpu_count()} cores)"
