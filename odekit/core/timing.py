"""Comparison of the speed of several computations on a machine that does other work, too.

On a CPU, processor time is counted, which other programs hardly change. The computations take turns, so that what
others do change (clock rate, caches) meets all of them, and ratios are taken within a turn.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 7
"""Turns of a comparison."""
HOPELESS = 3.0
"""A computation that takes this many times as long as the reference is not measured further."""


@dataclass(frozen=True)
class Speedup:
    """How many times as fast as the reference a computation is: median and range of all turns."""

    median: float
    least: float
    most: float

    def exceeds(self, bound: float) -> bool:
        """Whether the speed-up is at least `bound` beyond the noise of the measurement."""
        return self.least >= bound

    def is_clear(self, bound: float) -> bool:
        """Whether the whole range is on one side of `bound`."""
        return self.least >= bound or self.most < bound


def clock_of(device: str) -> Callable[[], float]:
    """Processor time on a CPU, else wall-clock time."""
    return time.process_time if device.partition(":")[0] == "cpu" else time.perf_counter


def compare(
    reference: Callable[[], object],
    others: Mapping[str, Callable[[], object]],
    clock: Callable[[], float],
    rounds: int = ROUNDS,
) -> tuple[float, dict[str, tuple[float, Speedup]]]:
    """Time computations in turns, after one call of each to warm up.

    Args:
        reference: the computation that the others are compared with. Each has to wait for its device.
        others: by name.
        clock: seconds so far.
        rounds: number of turns.

    Returns:
        The median seconds of the reference, and those of each other one with its speed-up.
    """

    def seconds(call: Callable[[], object]) -> float:
        start = clock()
        call()
        return max(clock() - start, 1e-9)

    warm = seconds(reference)
    first = {name: seconds(call) for name, call in others.items()}
    times: list[float] = []
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in others}
    for number in range(rounds):
        times.append(seconds(reference))
        for name, call in others.items():
            hopeless = min([first[name], *(own for own, _ in turns[name])]) > HOPELESS * min(warm, *times)
            if not (number and hopeless):
                turns[name].append((seconds(call), times[-1]))
    return _median(times), {
        name: (_median([own for own, _ in turn]), speedup([other / own for own, other in turn]))
        for name, turn in turns.items()
    }


def speedup(ratios: list[float]) -> Speedup:
    """Median and range of ratios; of seven or more, the range is without the smallest and the largest."""
    ordered = sorted(ratios)
    cut = 1 if len(ordered) >= ROUNDS else 0
    return Speedup(_median(ordered), ordered[cut], ordered[len(ordered) - 1 - cut])


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else math.nan
