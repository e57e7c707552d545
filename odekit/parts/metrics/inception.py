"""FID and KID: distances of sets in the features of Inception (torch-fidelity's network, the published weights)."""

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
from odekit.parts.metrics.base import Collection, Distance, Moments, Remembered, Vector, files, levels_batch
from odekit.parts.metrics.fd_pca import frechet

FEATURES = 2048
FEW = 10_000
"""Pictures below which an FID is mostly its own bias."""
MOST = 1000
"""Feature vectors of each set that a KID is of."""


class Fid(Options):
    """The metric `fid` has no options."""

    part = "fid"


class Kid(Options):
    """The metric `kid` has no options."""

    part = "kid"


class _Inception(ABC):
    """What both have in common."""

    lower_is_better = True
    name: ClassVar[str] = ""

    def __init__(self, options: Options | None = None, tools: Tools | None = None) -> None:
        """Raises WeightsError where the weights are absent, ConfigError where torch-fidelity is."""
        self.options = options
        self.features = Remembered(network(tools, self.name))

    def collect(self, part: bool = False) -> Collection:
        """Two empty sets; of a part of the pictures nothing is said, they are too few."""
        return Nothing(self.name) if part else self._collect()

    @abstractmethod
    def _collect(self) -> Collection: ...


class FidMetric(_Inception):
    """Heusel et al., arXiv:1706.08500. Of a few thousand pictures or fewer it is large whatever they show."""

    label: ClassVar[str] = "FID"
    name: ClassVar[str] = "fid"

    def _collect(self) -> Collection:
        return FidCollection(self.features)


class KidMetric(_Inception):
    """Binkowski et al., arXiv:1801.01401: squared MMD with the kernel (x.y / 2048 + 1)^3, unbiased, times 1,000.

    Of at most 1,000 pairs, drawn at random from more. It may be negative.
    """

    label: ClassVar[str] = "KID"
    unit: ClassVar[str] = "x 1e-3"
    name: ClassVar[str] = "kid"

    def _collect(self) -> Collection:
        return KidCollection(self.features)


class Nothing:
    """A collection of what is too little."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Count."""
        self.count += len(reference)

    def distance(self) -> Distance:
        """Unknown."""
        return Distance.unknown(self.count, f"{self.name} is given over all pictures only")


class FidCollection:
    """Means and covariances of two sets."""

    def __init__(self, features: Remembered) -> None:
        self.features, self.sets = features, (Moments(), Moments())

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Take in pairs."""
        for moments, images in zip(self.sets, (restored, reference), strict=True):
            if images:
                moments.add(self.features(images))

    def distance(self) -> Distance:
        """The distance; unknown for one picture."""
        one, two = self.sets
        if min(one.count, two.count) < 2:
            return Distance.unknown(two.count, "a distance of sets needs two pictures or more")
        value = frechet(one.mean, one.covariance, two.mean, two.covariance)
        note = f"of {two.count} pictures: mostly bias, compare at equal numbers alone" if two.count < FEW else ""
        return Distance(value, None, two.count, note)


class KidCollection:
    """Features of at most MOST pairs, each pair as likely to be there as any other."""

    def __init__(self, features: Remembered) -> None:
        self.features, self.seen = features, 0
        self.rng = np.random.Generator(np.random.Philox(0))
        self.pairs: list[tuple[Vector, Vector]] = []

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Take in pairs."""
        if not restored:
            return
        for a, b in zip(self.features(restored), self.features(reference), strict=True):
            self.seen += 1
            place = len(self.pairs) if len(self.pairs) < MOST else int(self.rng.integers(self.seen))
            if place < MOST:
                self.pairs[place : place + 1] = [(a, b)]

    def distance(self) -> Distance:
        """The distance; unknown for one picture."""
        if len(self.pairs) < 2:
            return Distance.unknown(self.seen, "a distance of sets needs two pictures or more")
        a, b = (np.stack([pair[i] for pair in self.pairs]).astype(np.float64) for i in (0, 1))
        note = f"of {len(self.pairs)} pairs drawn from {self.seen}" if self.seen > len(self.pairs) else ""
        return Distance(1000 * mmd2(a, b), None, self.seen, note)


def mmd2(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The unbiased squared maximum mean discrepancy of (n, d) and (m, d) with the cubic kernel."""

    def kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        out: NDArray[np.float64] = (x @ y.T / x.shape[1] + 1) ** 3
        return out

    within = 0.0
    for one in (a, b):
        k = kernel(one, one)
        within += (k.sum() - np.trace(k)) / (len(one) * (len(one) - 1))
    return float(within - 2 * kernel(a, b).mean())


def network(tools: Tools | None, metric: str) -> Any:
    """Pictures -> features (N, 2048). Raises WeightsError or ConfigError."""
    import torch

    from odekit.plugins.weights.load import load_tensors

    (path,) = files(tools, metric, ["inception-fid"])
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ConfigError(f"the metric '{metric}' needs torch-fidelity; pip install torch-fidelity") from error
    # The library would unpickle the file without care: it is given tensors that were read with care.
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
            (found,) = extractor(levels_batch(images, device))
        return np.asarray(found.cpu().numpy(), np.float32)

    return features
