"""`python -m benchmarks profile`: the operations in which a restoration spends its time."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.options import AsJson, Device
from benchmarks.output import print_result
from benchmarks.peaks import matrix_peak
from benchmarks.roofline import Work, memory_rate, work_of
from benchmarks.table import Row, Table
from odekit.core import device as machine

COLUMNS = {
    "operation": "operation",
    "count": "per call",
    "ms": "ms per call",
    "share": "share, %",
    "total": "summed, %",
    "products": "GFLOP",
    "moved": "MB moved",
    "bound": "least ms",
    "reached": "of the least time, %",
}


def command(
    batch: Annotated[int, typer.Option("--batch-size", min=1, help="Images in a network call.")] = 8,
    top: Annotated[int, typer.Option(min=1, help="Number of rows.")] = 12,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """The operations in which a restoration spends its time, by their own time.

    Example: python -m benchmarks profile --top 8
    """
    print_result(profile(batch, top, machine.resolve_device(device)), as_json)


def profile(batch: int = 8, top: int = 12, device: str = "cpu", steps: int = 2) -> Table:
    """The costliest operations of a restoration by the built-in prior, per network call.

    On a CPU it is the time of one thread, operation by operation, beside the least time that the machine's rates of
    products and of memory allow (`benchmarks.roofline`); on a GPU, the GPU's own time by torch's profiler.
    """
    import torch

    from odekit.chains.chain import Chain
    from odekit.core.image import Image

    chain = Chain.load("odedit", [f"restore.inverter.steps={steps}", "restore.enhancer=none"])
    session = chain.open(device=device, batch_size=batch)
    draws = np.random.Generator(np.random.Philox(0)).random((batch, 3, 64, 64), dtype=np.float32)
    images = [Image(pixels) for pixels in draws]
    gpu = device.startswith("cuda")
    if not gpu:
        torch.set_num_threads(1)
    session.run(images)
    began = session.counter.calls
    times = (gpu_times if gpu else thread_times)(lambda: session.run(images))
    calls = session.counter.calls - began
    whole = sum(one.seconds for one in times.values())
    rates = None if gpu else (matrix_peak(device, session.execution.precision), memory_rate())
    least = 0.0 if rates is None else sum(one.work.least_seconds(*rates) for one in times.values())
    rows: list[Row] = []
    summed = 0.0
    for name, one in sorted(times.items(), key=lambda item: -item[1].seconds)[:top]:
        summed += one.seconds
        rows.append(
            {
                "operation": name,
                "count": round(one.count / calls),
                "ms": 1e3 * one.seconds / calls,
                "share": 100 * one.seconds / whole,
                "total": 100 * summed / whole,
                **({} if rates is None else roofline(one, calls, *rates)),
            }
        )
    how = (
        f"odedit on {batch} noise picture(s), {device}, {session.execution.precision}, "
        f"{torch.get_num_threads()} thread(s): {1e3 * whole / calls:.0f} ms per network call in {len(times)} kinds of "
        f"operations{described(rates, least / calls)}; {machine.describe_load()}"
    )
    return Table("profile", how, COLUMNS, rows, (), ("operation", ("ms",)))


@dataclass
class Spent:
    """What the operations of one name took and did."""

    seconds: float = 0.0
    count: int = 0
    work: Work = field(default_factory=Work)


def roofline(spent: Spent, calls: int, rate: float, bandwidth: float) -> Row:
    """The columns of an operation that compare it with the machine's rates."""
    least = spent.work.least_seconds(rate, bandwidth)
    return {
        "products": spent.work.products / calls / 1e9,
        "moved": spent.work.moved / calls / 1e6,
        "bound": 1e3 * least / calls,
        "reached": 100 * least / spent.seconds if spent.seconds else None,
    }


def described(rates: tuple[float, float] | None, least: float) -> str:
    """The rates of the machine, and the sum of the least times."""
    if rates is None:
        return ""
    return f", {1e3 * least:.0f} ms at {rates[0] / 1e9:.0f} GFLOP/s and {rates[1] / 1e9:.1f} GB/s"


def thread_times(work: Any) -> dict[str, Spent]:
    """Time of the calling thread and work of each operation."""
    from torch.utils._python_dispatch import TorchDispatchMode

    spent: dict[str, Spent] = defaultdict(Spent)

    class Timing(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Times every operation."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            began = time.thread_time()
            result = func(*args, **(kwargs or {}))
            seconds = time.thread_time() - began
            name = str(func).removeprefix("aten.").removesuffix(".default")
            spent[name].seconds += seconds
            spent[name].count += 1
            spent[name].work += work_of(name, args, result)
            return result

    with Timing():  # type: ignore[no-untyped-call]
        work()
    return dict(spent)


def gpu_times(work: Any) -> dict[str, Spent]:
    """GPU time of each operation."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    with profiler(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        work()
    return {
        one.key: Spent(one.self_device_time_total / 1e6, one.count)
        for one in profiled.key_averages()
        if one.self_device_time_total > 0
    }
