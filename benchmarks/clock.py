"""CPU and wall times of repeated work, and the part of them inside a network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Clock:
    """The times of one method: the least of several rounds, in CPU time and wall time."""

    processor: float = float("inf")
    wall: float = float("inf")
    inside: float = 0.0
    """Seconds in the network, of the round with the least CPU time (on a GPU, the least wall time)."""
    first: float = 0.0
    """Wall seconds of the uncounted first round, compilation included."""
    spent: float = field(default=0.0, repr=False)
    marks: list[tuple[Any, Any]] = field(default_factory=list, repr=False)
    """Begin and end events of the network calls of a round, on a GPU."""

    def warm_up(self, work: Callable[[], object]) -> None:
        """Run the uncounted first round."""
        began = time.perf_counter()
        work()
        synchronised_times()
        self.first = time.perf_counter() - began

    def round(self, work: Callable[[], object]) -> None:
        """Run and count one round."""
        self.spent = 0.0
        self.marks.clear()
        processor, wall = synchronised_times()
        work()
        after, later = synchronised_times()
        if self.marks:
            self.spent = sum(began.elapsed_time(ended) for began, ended in self.marks) / 1e3
        best = later - wall < self.wall if self.marks else after - processor < self.processor
        if best:
            self.inside = self.spent
        self.processor = min(self.processor, after - processor)
        self.wall = min(self.wall, later - wall)

    def seconds(self, device: str) -> float:
        """The time to compare: CPU time, which hardly depends on other programs; wall time on a GPU."""
        return self.wall if device.startswith("cuda") else self.processor

    def watch(self, network: Any, device: str = "cpu") -> list[Any]:
        """Add hooks that sum the time inside a network; on a GPU by events, without synchronisation."""
        import torch

        began: list[Any] = [0.0]
        gpu = device.startswith("cuda")

        def mark() -> Any:
            event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            return event

        def enter(*_: object) -> None:
            began[0] = mark() if gpu else time.process_time()

        def leave(*_: object) -> None:
            if gpu:
                self.marks.append((began[0], mark()))
            else:
                self.spent += time.process_time() - began[0]

        return [network.register_forward_pre_hook(enter), network.register_forward_hook(leave)]


def synchronised_times() -> tuple[float, float]:
    """(CPU time, wall time) after all queued work of the GPU."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.process_time(), time.perf_counter()
