"""`python -m benchmarks overhead`: time of the restoration loop beside its network calls."""

from __future__ import annotations

import statistics
import time
from typing import Annotated

import numpy as np
import typer

from benchmarks.options import AsJson
from benchmarks.output import print_figures
from benchmarks.table import Figure
from odekit.chains.chain import Chain
from odekit.core.image import Image


def command(batch: Annotated[int, typer.Option(min=1, help="Faces in a batch.")] = 8, as_json: AsJson = False) -> None:
    """Time of the restoration loop beside its network calls.

    Example: python -m benchmarks overhead
    """
    print_figures([overhead(batch)], as_json)


def overhead(batch: int = 8, steps: int = 10, iterations: int = 5, rounds: int = 5) -> Figure:
    """Share of a whole restoration (built-in prior, CPU) outside the network; median over rounds.

    The time inside the network is measured in the same run, call by call, so that changes of the machine's speed do
    not change the ratio.
    """
    import torch

    settings = [f"restore.inverter.steps={steps}", f"restore.enhancer.iterations={iterations}"]
    session = Chain.load("odedit", settings).open(device="cpu", batch_size=batch)
    network = next(iter(session.networks.values())).network  # type: ignore[attr-defined]
    inside = [0.0]
    began = [0.0]

    def enter(*_: object) -> None:
        began[0] = time.perf_counter()

    def leave(*_: object) -> None:
        inside[0] += time.perf_counter() - began[0]

    hooks = [network.register_forward_pre_hook(enter), network.register_forward_hook(leave)]
    draws = np.random.Generator(np.random.Philox(0)).random((batch, 3, 64, 64), dtype=np.float32)
    images = [Image(pixels) for pixels in draws]
    session.run(images)
    shares = []
    for _ in range(rounds):
        inside[0] = 0.0
        whole = time.perf_counter()
        session.run(images)
        whole = time.perf_counter() - whole
        shares.append(100 * (whole - inside[0]) / inside[0])
    for hook in hooks:
        hook.remove()
    note = f"batch {batch}, 64 px, {torch.get_num_threads()} threads, median of {rounds}"
    return Figure("loop overhead over bare network calls", statistics.median(shares), "%", 3.0, rounds, note)
