"""What a metric says of itself beside its number: name, unit, which way is better, what it needs."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from odekit.core.abilities import HasBest, HasLabel, HasUnit
from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.errors import InputError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class About:
    """Facts for tables and reports."""

    name: str
    label: str
    unit: str = ""
    better: Literal["higher", "lower", "nearest"] = "higher"
    best: float | None = None
    """The best value, where `better` is "nearest"."""
    of: Literal["pair", "set"] = "pair"
    """One number for each pair of pictures, or one for two sets of pictures."""
    meaning: str = ""


def about(name: str, metric: Any, meaning: str = "") -> About:
    """The facts of a metric: its class attributes `label`, `unit`, `lower_is_better` and `best`, where it has them."""
    best = metric.best if isinstance(metric, HasBest) else None
    better: Literal["higher", "lower", "nearest"] = "lower" if metric.lower_is_better else "higher"
    return About(
        name,
        metric.label if isinstance(metric, HasLabel) else name,
        metric.unit if isinstance(metric, HasUnit) else "",
        "nearest" if best is not None else better,
        best,
        "set" if isinstance(metric, SetMetric) else "pair",
        meaning,
    )


def same_size(restored: Image, reference: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both pictures as float64 (3, H, W) in [0, 1].

    Raises:
        InputError: their sizes differ.
    """
    if restored.pixels.shape != reference.pixels.shape:
        raise InputError(
            f"pictures of {restored.width}x{restored.height} and {reference.width}x{reference.height} cannot be "
            "compared; bring them to one size first"
        )
    return restored.pixels.astype(np.float64), reference.pixels.astype(np.float64)


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


@runtime_checkable
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


KEPT = 2048
"""Feature vectors that are remembered: clean pictures come once for every method."""
Vector = NDArray[np.float32]


def files(tools: Tools | None, metric: str, names: Sequence[str]) -> list[Path]:
    """The local files of a metric's weights.

    Raises:
        WeightsError: some are absent; one line names them all with the commands that mend it.
    """
    if tools is None:
        raise WeightsError(f"the metric '{metric}' needs weights; make it through a catalogue's tools")
    try:
        tools.require(names)
        return [Path(tools.weights(name)) for name in names]
    except WeightsError as error:
        raise WeightsError(f"the metric '{metric}' cannot be measured: {error}") from error


def unit_batch(images: Sequence[Image], device: str) -> Tensor:
    """Pictures of one size as float32 (N, 3, H, W) in [0, 1]. Raises InputError where sizes differ."""
    import torch

    return torch.from_numpy(_stacked([image.pixels for image in images])).to(device)


def levels_batch(images: Sequence[Image], device: str) -> Tensor:
    """Pictures of one size as uint8 (N, 3, H, W). Raises InputError where sizes differ."""
    import torch

    return torch.from_numpy(_stacked([image.to_uint8().transpose(2, 0, 1) for image in images])).to(device)


def _stacked(arrays: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
    if len({array.shape for array in arrays}) > 1:
        raise InputError("pictures of several sizes cannot go through a network together; bring them to one size")
    return np.stack(arrays)


class Remembered:
    """Vectors of pictures by what the pictures show; only new ones go through the network."""

    def __init__(self, network: Callable[[Sequence[Image]], Vector]) -> None:
        self.network = network
        self.known: OrderedDict[str, Vector] = OrderedDict()

    def __call__(self, images: Sequence[Image]) -> Vector:
        """(N, D), a row for each picture."""
        new = list({image.origin: image for image in images if image.origin not in self.known}.values())
        found = dict(zip((image.origin for image in new), self.network(new), strict=True)) if new else {}
        rows = np.stack([found[o] if (o := image.origin) in found else self.known[o] for image in images])
        self.known.update(found)
        while len(self.known) > KEPT:
            self.known.popitem(last=False)
        return np.asarray(rows)


Array = NDArray[np.float64]


class Moments:
    """Means and sums of products about the mean: nothing grows with the number of vectors."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Array = np.zeros(0)
        self.products: Array = np.zeros((0, 0))

    def add(self, rows: NDArray[np.floating]) -> None:
        """Take in vectors (n, d)."""
        rows = np.asarray(rows, np.float64)
        if not len(rows):
            return
        mean = rows.mean(0)
        products = (rows - mean).T @ (rows - mean)
        if not self.count:
            self.count, self.mean, self.products = len(rows), mean, products
            return
        total = self.count + len(rows)
        apart = mean - self.mean
        self.products = self.products + products + np.outer(apart, apart) * (self.count * len(rows) / total)
        self.mean = self.mean + apart * (len(rows) / total)
        self.count = total

    @property
    def covariance(self) -> Array:
        """The unbiased covariance (d, d) of two vectors or more."""
        return self.products / (self.count - 1)
