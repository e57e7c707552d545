"""`odekit bench profile`: which operations a restoration spends its time in."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import numpy as np

from benchmarks.table import Row, Table
from odekit.core import device as machine

COLUMNS = {
    "operation": "operation",
    "count": "per call",
    "ms": "ms per call",
    "share": "share, %",
    "total": "summed, %",
}


def profile(batch: int = 8, top: int = 12, device: str = "cpu", steps: int = 2) -> Table:
    """The costliest operations of a restoration by the built-in prior, per network call.

    On the processor it is the processor time of the thread that calls, operation by operation, so that other programs
    do not show; on a graphics card, the card's own time by torch's profiler.
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
    found = (
        on_card(lambda: session.run(images)) if device.startswith("cuda") else by_thread(lambda: session.run(images))
    )
    calls = session.counter.calls - began
    whole = sum(seconds for seconds, _ in found.values())
    rows: list[Row] = []
    summed = 0.0
    for name, (seconds, count) in sorted(found.items(), key=lambda item: -item[1][0])[:top]:
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
        f"odedit on {batch} noise picture(s), {device}, {session.execution.precision}, {torch.get_num_threads()} thread(s): "
        f"{1e3 * whole / calls:.0f} ms per network call in {len(found)} kinds of operations; {machine.load_text()}"
    )
    return Table("profile", how, COLUMNS, rows, (), ("operation", ("ms",)))


def by_thread(work: Any) -> dict[str, tuple[float, int]]:
    """Seconds of thread time and number of each operation."""
    from torch.utils._python_dispatch import TorchDispatchMode

    spent: dict[str, float] = defaultdict(float)
    count: dict[str, int] = defaultdict(int)

    class Timing(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Takes the time of every operation."""

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


def on_card(work: Any) -> dict[str, tuple[float, int]]:
    """Seconds of the card and number of each operation."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    with profiler(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        work()
    return {
        one.key: (one.self_device_time_total / 1e6, one.count)
        for one in seen.key_averages()
        if one.self_device_time_total > 0
    }
