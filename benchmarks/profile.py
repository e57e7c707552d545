"""`python -m benchmarks profile`: the operations in which a restoration spends its time."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.options import AsJson, Device
from benchmarks.output import print_result
from benchmarks.table import Row, Table
from odekit.core import device as machine

COLUMNS = {
    "operation": "operation",
    "count": "per call",
    "ms": "ms per call",
    "share": "share, %",
    "total": "summed, %",
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

    On a CPU it is the CPU time of the calling thread, operation by operation; on a GPU, the GPU's own time by torch's
    profiler.
    """
    import torch

    from odekit.chains.chain import Chain
    from odekit.core.image import Image

    chain = Chain.load("odedit", [f"restore.inverter.steps={steps}", "restore.enhancer=none"])
    session = chain.open(device=device, batch_size=batch)
    draws = np.random.Generator(np.random.Philox(0)).random((batch, 3, 64, 64), dtype=np.float32)
    images = [Image(pixels) for pixels in draws]
    session.run(images)
    began = session.counter.calls
    measure = gpu_times if device.startswith("cuda") else thread_times
    times = measure(lambda: session.run(images))
    calls = session.counter.calls - began
    whole = sum(seconds for seconds, _ in times.values())
    rows: list[Row] = []
    summed = 0.0
    for name, (seconds, count) in sorted(times.items(), key=lambda item: -item[1][0])[:top]:
        summed += seconds
        rows.append(
            {
                "operation": name,
                "count": round(count / calls),
                "ms": 1e3 * seconds / calls,
                "share": 100 * seconds / whole,
                "total": 100 * summed / whole,
            }
        )
    how = (
        f"odedit on {batch} noise picture(s), {device}, {session.execution.precision}, "
        f"{torch.get_num_threads()} thread(s): {1e3 * whole / calls:.0f} ms per network call in {len(times)} kinds of "
        f"operations; {machine.describe_load()}"
    )
    return Table("profile", how, COLUMNS, rows, (), ("operation", ("ms",)))


def thread_times(work: Any) -> dict[str, tuple[float, int]]:
    """(seconds of thread time, count) of each operation."""
    from torch.utils._python_dispatch import TorchDispatchMode

    spent: dict[str, float] = defaultdict(float)
    count: dict[str, int] = defaultdict(int)

    class Timing(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Times every operation."""

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            began = time.thread_time()
            result = func(*args, **(kwargs or {}))
            name = str(func).removeprefix("aten.").removesuffix(".default")
            spent[name] += time.thread_time() - began
            count[name] += 1
            return result

    with Timing():  # type: ignore[no-untyped-call]
        work()
    return {name: (spent[name], count[name]) for name in spent}


def gpu_times(work: Any) -> dict[str, tuple[float, int]]:
    """(seconds of GPU time, count) of each operation."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    with profiler(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        work()
    return {
        one.key: (one.self_device_time_total / 1e6, one.count)
        for one in profiled.key_averages()
        if one.self_device_time_total > 0
    }
