"""Times of repeated work in processor time and on the wall, and the part of them that a network takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Clock:
    """What one method took: the least of several rounds, in processor time and on the wall."""

    processor: float = float("inf")
    wall: float = float("inf")
    inside: float = 0.0
    """Seconds in the network, of the round with the least processor time (on a card, the least time on the wall)."""
    first: float = 0.0
    """Seconds on the wall of the round that was not counted: whatever is done once, compiling for one."""
    spent: float = field(default=0.0, repr=False)
    marks: list[tuple[Any, Any]] = field(default_factory=list, repr=False)
    """Of a card: where the calls of a round began and ended in its own work."""

    def warm_up(self, work: Callable[[], object]) -> None:
        """A round before those that count."""
        began = time.perf_counter()
        work()
        done()
        self.first = time.perf_counter() - began

    def round(self, work: Callable[[], object]) -> None:
        """One round."""
        self.spent = 0.0
        self.marks.clear()
        processor, wall = done()
        work()
        after, later = done()
        if self.marks:
            self.spent = sum(began.elapsed_time(ended) for began, ended in self.marks) / 1e3
        best = later - wall < self.wall if self.marks else after - processor < self.processor
        if best:
            self.inside = self.spent
        self.processor = min(self.processor, after - processor)
        self.wall = min(self.wall, later - wall)

    def seconds(self, device: str) -> float:
        """The time that counts: a processor's own, which other programs hardly change; the wall's for a card."""
        return self.wall if device.startswith("cuda") else self.processor

    def watch(self, network: Any, device: str = "cpu") -> list[Any]:
        """Hooks that add up the time inside a network. A card marks it in its own work, and is not waited for."""
        import torch

        began: list[Any] = [0.0]
        card = device.startswith("cuda")

        def mark() -> Any:
            event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            return event

        def enter(*_: object) -> None:
            began[0] = mark() if card else time.process_time()

        def leave(*_: object) -> None:
            if card:
                self.marks.append((began[0], mark()))
            else:
                self.spent += time.process_time() - began[0]

        return [network.register_forward_pre_hook(enter), network.register_forward_hook(leave)]


def done() -> tuple[float, float]:
    """(processor time, wall time) when all work that was asked for is done."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.process_time(), time.perf_counter()
