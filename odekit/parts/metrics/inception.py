"""FID and KID: distances of sets in Inception's features (torch-fidelity's network with the published weights)."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.core.precision import precision
from odekit.errors import ConfigError, InputError, WeightsError
from odekit.parts.metrics.base import (
    CachedFeatures,
    PairCollection,
    RunningMoments,
    SetDistance,
    Vector,
    uint8_batch,
    weight_files,
)
from odekit.parts.metrics.fd_pca import frechet_distance

FEATURES = 2048
"""Length of a feature vector."""
MIN_UNBIASED = 10_000
"""Number of pictures below which the bias dominates an FID."""
MAX_KID_PAIRS = 1000
"""Largest number of feature vectors of each set for a KID."""


class Fid(Options):
    """The metric `fid` has no options."""

    part = "fid"


class Kid(Options):
    """The metric `kid` has no options."""

    part = "kid"


class _Inception(ABC):
    """Common base of FID and KID."""

    lower_is_better = True
    name: ClassVar[str] = ""

    def __init__(self, options: Options | None = None, tools: Tools | None = None) -> None:
        """Load the network.

        Raises:
            WeightsError: the weights are missing.
            ConfigError: torch-fidelity is not installed.
        """
        self.options = options
        self.features = CachedFeatures(inception_features(tools, self.name))

    def collect(self, part: bool = False) -> PairCollection:
        """Two empty sets. A part of the pictures is too small a set, and gets no distance."""
        return NoDistance(self.name) if part else self._collect()

    @abstractmethod
    def _collect(self) -> PairCollection: ...


class FidMetric(_Inception):
    """FID of Heusel et al., arXiv:1706.08500. For a few thousand pictures or fewer it is large for any content."""

    label: ClassVar[str] = "FID"
    name: ClassVar[str] = "fid"

    def _collect(self) -> PairCollection:
        return FidCollection(self.features)


class KidMetric(_Inception):
    """KID of Binkowski et al., arXiv:1801.01401: unbiased squared MMD with kernel (x.y / 2048 + 1)^3, times 1,000.

    It uses at most 1,000 pairs, drawn at random if there are more, and may be negative.
    """

    label: ClassVar[str] = "KID"
    unit: ClassVar[str] = "x 1e-3"
    name: ClassVar[str] = "kid"

    def _collect(self) -> PairCollection:
        return KidCollection(self.features)


class NoDistance:
    """Collection without a distance, for sets that are too small."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Count the pairs."""
        self.count += len(reference)

    def distance(self) -> SetDistance:
        """Always unknown."""
        return SetDistance.unknown(self.count, f"{self.name} is given over all pictures only")


class FidCollection:
    """Means and covariances of two sets."""

    def __init__(self, features: CachedFeatures) -> None:
        self.features, self.sets = features, (RunningMoments(), RunningMoments())

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Add pairs of pictures."""
        for moments, images in zip(self.sets, (restored, reference), strict=True):
            if images:
                moments.add(self.features(images))

    def distance(self) -> SetDistance:
        """The distance; unknown for one picture."""
        restored, reference = self.sets
        count = reference.count
        if min(restored.count, count) < 2:
            return SetDistance.unknown(count, "a distance of sets needs two pictures or more")
        value = frechet_distance(restored.mean, restored.covariance, reference.mean, reference.covariance)
        note = f"of {count} pictures: mostly bias, compare only with equal numbers" if count < MIN_UNBIASED else ""
        return SetDistance(value, None, count, note)


class KidCollection:
    """Features of at most `MAX_KID_PAIRS` pairs, chosen by reservoir sampling."""

    def __init__(self, features: CachedFeatures) -> None:
        self.features, self.count = features, 0
        self.rng = np.random.Generator(np.random.Philox(0))
        self.pairs: list[tuple[Vector, Vector]] = []

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Add pairs of pictures."""
        if not restored:
            return
        for a, b in zip(self.features(restored), self.features(reference), strict=True):
            self.count += 1
            index = len(self.pairs) if len(self.pairs) < MAX_KID_PAIRS else int(self.rng.integers(self.count))
            if index < MAX_KID_PAIRS:
                self.pairs[index : index + 1] = [(a, b)]

    def distance(self) -> SetDistance:
        """The distance; unknown for one picture."""
        if len(self.pairs) < 2:
            return SetDistance.unknown(self.count, "a distance of sets needs two pictures or more")
        a, b = (np.stack([pair[i] for pair in self.pairs]).astype(np.float64) for i in (0, 1))
        note = f"of {len(self.pairs)} pairs drawn from {self.count}" if self.count > len(self.pairs) else ""
        return SetDistance(1000 * mmd2(a, b), None, self.count, note)


def mmd2(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Unbiased squared maximum mean discrepancy of (n, d) and (m, d) with the cubic kernel."""

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        out: NDArray[np.float64] = (x @ y.T / x.shape[1] + 1) ** 3
        return out

    within = 0.0
    for rows in (a, b):
        k = kernel(rows, rows)
        within += (k.sum() - np.trace(k)) / (len(rows) * (len(rows) - 1))
    return float(within - 2 * kernel(a, b).mean())


def inception_features(tools: Tools | None, metric: str) -> Any:
    """A function from pictures to Inception's features (N, 2048).

    Raises:
        WeightsError: the weights are missing or belong to another network.
        ConfigError: torch-fidelity is not installed.
    """
    import torch

    from odekit.plugins.weights.load import load_tensors

    (path,) = weight_files(tools, metric, ["inception-fid"])
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ConfigError(f"the metric '{metric}' needs torch-fidelity; pip install torch-fidelity") from error
    # torch-fidelity would unpickle the file, so it gets tensors that were loaded safely.
    tensors = io.BytesIO()
    torch.save(load_tensors(path), tensors)
    tensors.seek(0)
    try:
        extractor = FeatureExtractorInceptionV3("odekit", [str(FEATURES)], feature_extractor_weights_path=tensors)
    except RuntimeError as error:
        raise WeightsError(
            f"{path} does not hold Inception's weights for FID ({str(error).splitlines()[0]})"
        ) from error
    device = tools.device if tools is not None else "cpu"
    extractor = extractor.to(device)

    def features(images: Sequence[Image]) -> Vector:
        sizes = {(image.height, image.width) for image in images}
        if len(sizes) > 1:
            raise InputError("FID and KID need pictures of one size")
        with torch.inference_mode(), precision("float32", device):
            (vectors,) = extractor(uint8_batch(images, device))
        return np.asarray(vectors.cpu().numpy(), np.float32)

    return features
