"""Shared code of the metrics: descriptions, metrics of sets, network weights, cached features, running moments."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from odekit.core.abilities import HasBest, HasLabel, HasUnit
from odekit.core.image import Image, fingerprint
from odekit.core.interfaces import Tools
from odekit.errors import InputError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn


SAMPLE_BYTES = 64 << 20
"""Memory for the pictures that a set metric keeps, for each of the two sets, in bytes."""
MIN_SAMPLE, MAX_SAMPLE = 16, 1024
"""Smallest and largest number of pictures that it keeps."""
CACHE_SIZE = 2048
"""Number of cached feature vectors. Reference pictures recur for every method."""
Vector = NDArray[np.float32]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class MetricInfo:
    """Description of a metric, for tables and reports."""

    name: str
    label: str
    unit: str = ""
    better: Literal["higher", "lower", "nearest"] = "higher"
    best: float | None = None
    """The best value, if `better` is "nearest"."""
    of: Literal["pair", "set"] = "pair"
    """Whether the metric is a number for each pair of pictures, or one for two sets of pictures."""
    meaning: str = ""


def describe_metric(name: str, metric: Any, meaning: str = "") -> MetricInfo:
    """Describe a metric by its class attributes `label`, `unit`, `lower_is_better` and `best`, if it has them."""
    best = metric.best if isinstance(metric, HasBest) else None
    better: Literal["higher", "lower", "nearest"] = "lower" if metric.lower_is_better else "higher"
    return MetricInfo(
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


@dataclass(frozen=True)
class SetDistance:
    """Distance between two sets of pictures."""

    value: float
    """NaN if it is unknown; `note` gives the reason."""
    spread: float | None = None
    """Standard deviation over random draws, if the metric uses them. It says nothing about the choice of pictures."""
    count: int = 0
    """Number of pictures in each set."""
    note: str = ""

    @classmethod
    def unknown(cls, count: int, note: str) -> SetDistance:
        """A distance without a value, with the reason in `note`."""
        return cls(math.nan, None, count, note)


class PairCollection(Protocol):
    """Accumulates two sets of pictures."""

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Add pairs of pictures, one picture to each set."""
        ...

    def distance(self) -> SetDistance:
        """The distance between the sets."""
        ...


@runtime_checkable
class SetMetric(Protocol):
    """A metric with one number for two sets of pictures, registered like other metrics."""

    lower_is_better: bool

    def collect(self, part: bool = False) -> PairCollection:
        """An empty collection.

        Args:
            part: it is for one kind of damage among several; the metric may then use fewer pictures.
        """
        ...


class ReservoirSample:
    """Reservoir sampling of pairs of pictures (Vitter 1985, algorithm R): each pair is kept with equal probability."""

    def __init__(self, seed: int, share: int = 1) -> None:
        """An empty sample.

        Args:
            seed: of the random choice.
            share: divisor of the largest number of pictures.
        """
        self.share = share
        self.rng = np.random.Generator(np.random.Philox(seed))
        self.count = 0
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, restored: Image, reference: Image) -> None:
        """Add a pair; if it is kept, it is kept as uint8."""
        capacity = min(
            MAX_SAMPLE // self.share, max(MIN_SAMPLE, SAMPLE_BYTES // (restored.height * restored.width * 3))
        )
        self.count += 1
        index = len(self.pairs) if len(self.pairs) < capacity else int(self.rng.integers(self.count))
        if index < capacity:
            self.pairs[index : index + 1] = [(restored.to_uint8(), reference.to_uint8())]

    def sides(self) -> set[tuple[int, ...]]:
        """The distinct shapes of the kept pictures."""
        return {picture.shape for pair in self.pairs for picture in pair}


def weight_files(tools: Tools | None, metric: str, names: Sequence[str]) -> list[Path]:
    """The local files of a metric's weights.

    Raises:
        WeightsError: some are missing; the message names all of them, with the commands to get them.
    """
    if tools is None:
        raise WeightsError(f"the metric '{metric}' needs weights; make it through a catalogue's tools")
    try:
        tools.require(names)
        return [Path(tools.weights(name)) for name in names]
    except WeightsError as error:
        raise WeightsError(f"the metric '{metric}' cannot be measured: {error}") from error


def load_frozen(network: nn.Module, tensors: Mapping[str, Tensor], device: str, message: str) -> nn.Module:
    """Load tensors into a network, and return it on a device in evaluation mode, without gradients.

    Args:
        network: may be on the meta device; the tensors replace its parameters.
        tensors: by name.
        device: where it runs.
        message: of the error.

    Raises:
        WeightsError: the tensors belong to another network.
    """
    try:
        network.load_state_dict(dict(tensors), assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{message} ({str(error).splitlines()[0]})") from error
    return network.eval().requires_grad_(False).to(device)


def unit_batch(images: Sequence[Image], device: str) -> Tensor:
    """Pictures of one size as float32 (N, 3, H, W) in [0, 1].

    Raises:
        InputError: the sizes differ.
    """
    import torch

    return torch.from_numpy(_stacked([image.pixels for image in images])).to(device)


def uint8_batch(images: Sequence[Image], device: str) -> Tensor:
    """Pictures of one size as uint8 (N, 3, H, W).

    Raises:
        InputError: the sizes differ.
    """
    import torch

    return torch.from_numpy(_stacked([image.to_uint8().transpose(2, 0, 1) for image in images])).to(device)


def _stacked(arrays: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
    if len({array.shape for array in arrays}) > 1:
        raise InputError("pictures of several sizes cannot be in one network call; bring them to one size")
    return np.stack(arrays)


class CachedFeatures:
    """A feature network with a cache, keyed by the content of the pictures. Several threads may call it."""

    def __init__(self, network: Callable[[Sequence[Image]], Vector]) -> None:
        self.network = network
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, images: Sequence[Image]) -> Vector:
        """Feature vectors (N, D) of pictures."""
        # `origin` is not the key: it is that of the source image, and a restored image keeps it.
        keys = [fingerprint(image.pixels) for image in images]
        with self._lock:
            known = {key: self._cache[key] for key in keys if key in self._cache}
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
        computed = dict(zip(new, self.network(list(new.values())), strict=True)) if new else {}
        with self._lock:
            self._cache.update(computed)
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return np.stack([computed[key] if key in computed else known[key] for key in keys])


class RunningMoments:
    """Running mean and covariance of vectors, in constant memory."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Array = np.zeros(0)
        self.products: Array = np.zeros((0, 0))

    def add(self, rows: NDArray[np.floating]) -> None:
        """Add vectors (n, d)."""
        rows = np.asarray(rows, np.float64)
        if not len(rows):
            return
        mean = rows.mean(0)
        products = (rows - mean).T @ (rows - mean)
        if not self.count:
            self.count, self.mean, self.products = len(rows), mean, products
            return
        total = self.count + len(rows)
        shift = mean - self.mean
        self.products = self.products + products + np.outer(shift, shift) * (self.count * len(rows) / total)
        self.mean = self.mean + shift * (len(rows) / total)
        self.count = total

    @property
    def covariance(self) -> Array:
        """The unbiased covariance (d, d); needs two vectors or more."""
        return self.products / (self.count - 1)
