"""Frechet distance between two sets of faces in the space of 32 principal components of small thumbnails.

The distance of two Gaussians is that of Dowson and Landau 1982 (doi:10.1016/0047-259X(82)90077-X), as in FID. The
features come from no network, so the values are not FIDs and cannot be compared with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.errors import InputError
from odekit.images.resize import square_block_means
from odekit.parts.metrics.base import RunningMoments, SetDistance

SIDE = 16
"""Side of the thumbnails in pixels."""
COMPONENTS = 32
"""Number of principal components."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class FdPca:
    """Principal components of the 16 px thumbnails of training faces."""

    mean: Array
    """(768,)"""
    axes: Array
    """(768, 32), orthonormal, largest variance first."""

    @classmethod
    def fit(cls, train: NDArray[np.uint8]) -> FdPca:
        """The components of training faces, uint8 (N, S, S, 3).

        Raises:
            InputError: 32 pictures or fewer, or a side that is not a multiple of 16.
        """
        if len(train) <= COMPONENTS:
            raise InputError(f"{COMPONENTS} principal components need more than {len(train)} training faces")
        rows = thumbnails(train)
        mean = rows.mean(0)
        _, _, components = np.linalg.svd(rows - mean, full_matrices=False)
        return cls(mean, components[:COMPONENTS].T)

    def features(self, pictures: NDArray[np.uint8]) -> Array:
        """Coordinates (N, 32) of pictures along the components, for pixels in [0, 1]."""
        return np.asarray((thumbnails(pictures) - self.mean) @ self.axes)

    def distance(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
        """The squared Frechet distance of two sets, for pixels in [0, 1]. Meaningful from 33 pictures per set."""
        features_a, features_b = self.features(a), self.features(b)
        return frechet_distance(features_a.mean(0), np.cov(features_a.T), features_b.mean(0), np.cov(features_b.T))


def thumbnails(pictures: NDArray[np.uint8]) -> Array:
    """Reduce uint8 (N, S, S, 3) by area averaging to 16 x 16 pixels in [0, 1], flattened to (N, 768).

    Raises:
        InputError: S is not a multiple of 16.
    """
    count, side = pictures.shape[:2]
    if side % SIDE:
        raise InputError(f"thumbnails of {SIDE} px need a side that is a multiple of it, not {side}")
    return np.asarray(square_block_means(pictures, SIDE).reshape(count, -1) / 255)


def frechet_distance(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """`|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^1/2 C_b C_a^1/2)^1/2)`: means (d,), covariances (d, d)."""
    root = _root(cov_a)
    eigenvalues = np.linalg.eigvalsh(root @ cov_b @ root)
    cross = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def _root(cov: Array) -> Array:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(cov)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


class FdPcaOptions(Options):
    """The metric `fd-pca` has no options."""

    part = "fd-pca"


class FdPcaMetric:
    """Frechet distance in the space of the reference set's own 32 principal components. It is not an FID.

    It needs 33 pairs or more, of a side that is a multiple of 16. The benchmark of priors
    (`benchmarks/prior.py`) uses the components of training faces instead, so its values cannot be compared with these.
    """

    lower_is_better = True
    label: ClassVar[str] = "FD-PCA"

    def __init__(self, options: FdPcaOptions | None = None, tools: Tools | None = None) -> None:
        self.options = options or FdPcaOptions()

    def collect(self, part: bool = False) -> FdPcaCollection:
        """Two empty sets."""
        return FdPcaCollection()


class FdPcaCollection:
    """Means and covariances of the thumbnails of two sets."""

    def __init__(self) -> None:
        self.sets = (RunningMoments(), RunningMoments())
        self.problem = ""

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Add pairs of pictures."""
        try:
            if any(image.height != image.width for image in [*restored, *reference]):
                raise InputError("FD-PCA needs square pictures")
            for moments, images in zip(self.sets, (restored, reference), strict=True):
                if images:
                    moments.add(np.concatenate([thumbnails(image.to_uint8()[None]) for image in images]))
        except InputError as error:
            self.problem = str(error)

    def distance(self) -> SetDistance:
        """The distance; unknown for fewer than 33 pairs."""
        restored, reference = self.sets
        if self.problem:
            return SetDistance.unknown(reference.count, self.problem)
        if min(restored.count, reference.count) <= COMPONENTS:
            return SetDistance.unknown(reference.count, f"FD-PCA needs more than {COMPONENTS} pairs")
        _, vectors = np.linalg.eigh(reference.covariance)
        axes = vectors[:, -COMPONENTS:]
        cov = [axes.T @ moments.covariance @ axes for moments in self.sets]
        value = frechet_distance(restored.mean @ axes, cov[0], reference.mean @ axes, cov[1])
        return SetDistance(value, None, reference.count)
