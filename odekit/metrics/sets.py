"""Metrics of two sets of pictures, fed a few pictures at a time so that memory does not grow with the sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from odekit.image import Image

HELD_BYTES = 64 << 20
"""Room for the pictures that a set metric keeps, for each of the two sets."""
HELD_LEAST, HELD_MOST = 16, 1024
"""How many pictures it keeps at least and at most."""


@dataclass(frozen=True)
class Distance:
    """One distance of two sets."""

    value: float
    """NaN where it cannot be said; `note` says why."""
    spread: float | None = None
    """Standard deviation over draws, where the metric draws; it is not an interval over pictures."""
    count: int = 0
    """Pictures of each set that were given."""
    note: str = ""

    @classmethod
    def unknown(cls, count: int, note: str) -> Distance:
        """No number, and why."""
        return cls(math.nan, None, count, note)


class Collection(Protocol):
    """Two sets in the making."""

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Take in as many pictures of each set."""
        ...

    def distance(self) -> Distance:
        """The distance of what was taken in."""
        ...


class SetMetric(Protocol):
    """A metric with one number for two sets. It is registered as a metric; `collect` tells it apart."""

    lower_is_better: bool

    def collect(self, part: bool = False) -> Collection:
        """An empty collection. `part`: of the pictures of one damage among several, which may cost less trouble."""
        ...


class Sample:
    """At most `room` of the pairs that pass by, each as likely as any other (Vitter 1985, algorithm R).

    `share`: of the pictures that a whole set may keep, as a divisor.
    """

    def __init__(self, seed: int, share: int = 1) -> None:
        self.share = share
        self.rng = np.random.Generator(np.random.Philox(seed))
        self.seen = 0
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, restored: Image, reference: Image) -> None:
        """One pair, kept as uint8 or not."""
        room = min(HELD_MOST // self.share, max(HELD_LEAST, HELD_BYTES // (restored.height * restored.width * 3)))
        self.seen += 1
        place = len(self.pairs) if len(self.pairs) < room else int(self.rng.integers(self.seen))
        if place < room:
            self.pairs[place : place + 1] = [(restored.to_uint8(), reference.to_uint8())]

    def sides(self) -> set[tuple[int, ...]]:
        """The different shapes of the pictures kept."""
        return {picture.shape for pair in self.pairs for picture in pair}
