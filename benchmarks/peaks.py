"""The peak rate of matrix products of a machine, and the GPU memory of a round of work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.clock import Clock
from odekit.core.precision import precision as precision_switches
from odekit.core.precision import storage_type

SIDES = {"cpu": 1024, "cuda": 8192}
"""Sides of the matrices; smaller ones do not fill a GPU."""
ROUNDS = {"cpu": 30, "cuda": 10}
AT_ONCE = {"cpu": 1, "cuda": 4}
"""Products in a round; on a GPU several, so that launches overlap with work."""


def matrix_peak(device: str, precision: str = "float32", side: int | None = None) -> float:
    """Operations per second of a product of two matrices in a precision, in CPU time on a CPU; the best of some rounds.

    On a GPU float32 is exact, and `tf32` is float32 multiplied in TF32.
    """
    import torch

    kind = "cuda" if device.startswith("cuda") else "cpu"
    side, count = side or SIDES[kind], AT_ONCE[kind]
    a = torch.randn((side, side), device=device).to(getattr(torch, storage_type(precision)))
    out, clock = torch.empty_like(a), Clock()

    def work() -> None:
        for _ in range(count):
            torch.mm(a, a, out=out)

    with precision_switches(precision, device):
        clock.warm_up(work)
        for _ in range(ROUNDS[kind]):
            clock.round(work)
    return count * 2 * side**3 / clock.seconds(device)


def gpu_memory(device: str, network: Any, work: Callable[[], object]) -> float:
    """Peak GPU memory of a network in GB: its weights, and the memory that a round of work adds."""
    import torch

    weights = sum(one.numel() * one.element_size() for one in network.parameters())
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return float(torch.cuda.max_memory_allocated(device) - before + weights) / 1e9
