"""Sums measured cases up into groups and differences, a chunk at a time."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from odekit.core.image import Image
from odekit.evaluation import bootstrap
from odekit.evaluation.measure import Measured
from odekit.evaluation.panel import Panel
from odekit.evaluation.results import Difference, Group, Value
from odekit.parts.metrics.base import SetDistance

Damage = tuple[str, "int | None"]
WHOLE: Damage = ("", None)


class Tally:
    """Collects cases in order of their groups; it keeps numbers (8 bytes each), not images."""

    def __init__(self, panel: Panel, methods: Sequence[str], seed: int = 0) -> None:
        self.panel, self.methods, self.seed = panel, list(methods), seed
        self.pairs = [*panel.light, *panel.heavy]
        self.columns = {(m, name): array("d") for m in self.methods for name in self.pairs}
        self.failed = {m: array("b") for m in self.methods}
        self.spans: list[tuple[Damage, int]] = []
        """Each damage and the index of its first case."""
        self.distances: dict[tuple[str, Damage, str], SetDistance] = {}
        self.whole = self._collections()
        self.part = self._collections(part=True)
        self.count = 0

    def _collections(self, part: bool = False) -> dict[tuple[str, str], Any]:
        return {(m, name): self.panel.metrics[name].collect(part) for m in self.methods for name in self.panel.sets}

    def add(self, chunk: Sequence[Measured]) -> None:
        """Add measured cases."""
        for damage, members in _runs(chunk):
            if not self.spans or self.spans[-1][0] != damage:
                self._close()
                self.spans.append((damage, self.count))
            for one in members:
                self._numbers(one)
            for method in self.methods:
                present = [one for one in members if method in one.pictures]
                restored = [Image.from_uint8(one.pictures[method]) for one in present]
                reference = [Image.from_uint8(one.reference) for one in present if one.reference is not None]
                for name in self.panel.sets if present else ():
                    self.whole[method, name].add(restored, reference)
                    if damage != WHOLE:
                        self.part[method, name].add(restored, reference)

    def _numbers(self, one: Measured) -> None:
        self.count += 1
        for method in self.methods:
            self.failed[method].append(method not in one.values)
            values = one.values.get(method, {})
            for name in self.pairs:
                self.columns[method, name].append(values.get(name, math.nan))

    def _close(self) -> None:
        """End the current group."""
        if self.spans and self.panel.sets and self.spans[-1][0] != WHOLE:
            self._settle(self.spans[-1][0], self.part)
            self.part = self._collections(part=True)

    def _settle(self, damage: Damage, collections: Mapping[tuple[str, str], Any]) -> None:
        for (method, name), collection in collections.items():
            self.distances[method, damage, name] = collection.distance()

    def groups(self) -> list[Group]:
        """A group of all images for each method, then a group for each known damage."""
        self._close()
        ends = [start for _, start in self.spans[1:]] + [self.count]
        parts = [(damage, start, end) for (damage, start), end in zip(self.spans, ends, strict=True) if damage != WHOLE]
        self._settle(WHOLE, self.whole)
        out = [self._group(method, WHOLE, 0, self.count) for method in self.methods]
        return out + [self._group(method, *span) for span in parts for method in self.methods]

    def _group(self, method: str, damage: Damage, start: int, end: int) -> Group:
        failed = int(sum(self.failed[method][start:end]))
        values: dict[str, Value] = {}
        for name in self.panel.metrics:
            if name in self.panel.sets:
                one = self.distances[method, damage, name]
                values[name] = Value(one.value, spread=one.spread, count=one.count, note=one.note)
                continue
            mean = bootstrap.mean(self.columns[method, name][start:end], self.seed)
            undefined = mean.undefined - failed
            values[name] = Value(
                mean.mean, mean.low, mean.high, None, mean.count, mean.infinite, undefined,
            )  # fmt: skip
        return Group(method, damage[0], damage[1], end - start, failed, values)

    def differences(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Difference]:
        """One method against another, over the images that both have."""
        for method, against in pairs:
            for name in self.pairs:
                mean = bootstrap.difference(self.columns[method, name], self.columns[against, name], self.seed)
                yield Difference(method, against, name, mean.mean, mean.low, mean.high, mean.count)


def _runs(chunk: Sequence[Measured]) -> Iterator[tuple[Damage, list[Measured]]]:
    """The chunk, split where the damage changes."""
    start = 0
    for i in range(1, len(chunk) + 1):
        if i == len(chunk) or _damage(chunk[i]) != _damage(chunk[start]):
            yield _damage(chunk[start]), list(chunk[start:i])
            start = i


def _damage(one: Measured) -> Damage:
    return (one.case.kind, one.case.severity)
