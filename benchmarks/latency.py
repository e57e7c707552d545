"""`python -m benchmarks latency`: the time of one face once the network is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import typer

from benchmarks.clock import Clock
from benchmarks.options import AsJson, Device, Rounds
from benchmarks.output import print_result
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


def command(
    chain: Annotated[str, typer.Argument(help="A chain of aligned faces.")] = "odedit-fast",
    threads: Annotated[list[int] | None, typer.Option(min=1, help="Repeatable; default: 1 and all cores.")] = None,
    rounds: Rounds = 5,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """The time of one face once the network is loaded.

    Example: python -m benchmarks latency odedit-fast --threads 2
    """
    print_result(latency(chain, threads or (), rounds, machine.resolve_device(device)), as_json)


def latency(chain: str = "odedit-fast", threads: Sequence[int] = (), rounds: int = 5, device: str = "cpu") -> Table:
    """A row for each number of threads: one 64 px face through a chain of aligned faces, the least of some rounds.

    Args:
        chain: its name or file.
        threads: 1 and the number of cores where empty.
        rounds: counted rounds, after one that warms up.
        device: of the network.
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
            row = {"threads": count, "calls": calls, "processor": clock.processor, "wall": clock.wall}
            rows.append(row | {"call": 1e3 * clock.processor / calls})
    finally:
        torch.set_num_threads(before)
    # With one thread, CPU time is the wall time of an idle machine.
    fastest = min(row["processor"] if device == "cpu" and row["threads"] == 1 else row["wall"] for row in rows)
    goals = [Goal(f"one face by {chain}, after warm-up", fastest, most=GOAL, unit="s")]
    where = machine.describe_processor() if device == "cpu" else machine.describe_machine(device)
    how = f"one noise picture of 64 px by {chain}, {where}, least of {rounds} rounds; {machine.describe_load()}"
    return Table("latency", how, COLUMNS, rows, goals, ("threads", ("wall", "processor")))
