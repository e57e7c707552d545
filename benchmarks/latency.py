"""`odekit bench latency`: how long one face takes, once the network is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from benchmarks.clock import Clock
from benchmarks.table import Goal, Row, Table
from odekit.core import device as machine
from odekit.core.image import Image

COLUMNS = {
    "threads": "threads",
    "calls": "calls",
    "processor": "processor s",
    "wall": "wall s",
    "call": "ms of processor per call",
}
GOAL = 2.5
"""Seconds on two cores."""


def latency(chain: str = "odedit-fast", threads: Sequence[int] = (), rounds: int = 5, device: str = "cpu") -> Table:
    """A row for each number of threads: one 64 px face through a chain of aligned faces, the least of some rounds.

    Args:
        chain: its name or file.
        threads: 1 and the number of cores where empty.
        rounds: counted rounds, after one that warms up.
        device: where the network runs.
    """
    import torch

    from odekit.chains.chain import Chain

    session = Chain.load(chain).open(device=device, batch_size=1)
    face = Image(np.random.Generator(np.random.Philox(0)).random((3, 64, 64), dtype=np.float32))
    rows: list[Row] = []
    before = torch.get_num_threads()
    try:
        for count in threads or sorted({1, os.cpu_count() or 1}):
            torch.set_num_threads(count)
            clock, calls = Clock(), session.counter.calls
            clock.warm_up(lambda: session.run([face]))
            calls = session.counter.calls - calls
            for _ in range(rounds):
                clock.round(lambda: session.run([face]))
            told = {"threads": count, "calls": calls, "processor": clock.processor, "wall": clock.wall}
            rows.append(told | {"call": 1e3 * clock.processor / calls})
    finally:
        torch.set_num_threads(before)
    # On one thread the processor's seconds are the wall's of a machine at rest.
    fastest = min(row["processor"] if device == "cpu" and row["threads"] == 1 else row["wall"] for row in rows)
    goals = [Goal(f"one face by {chain}, after warm-up", fastest, most=GOAL, unit="s")]
    what = machine.processor_text() if device == "cpu" else machine.machine_text(device)
    how = f"one noise picture of 64 px by {chain}, {what}, least of {rounds} rounds; {machine.load_text()}"
    return Table("latency", how, COLUMNS, rows, goals, ("threads", ("wall", "processor")))
