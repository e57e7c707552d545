"""Frechet distance between two sets of faces in the space of 32 principal components of small thumbnails.

The distance of two Gaussians is that of Dowson and Landau 1982 (doi:10.1016/0047-259X(82)90077-X), as in FID; the
features are not: no network is involved, so the figure is not an FID and compares with no FID.
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
from odekit.parts.metrics.base import Distance, Moments

SIDE = 16
COMPONENTS = 32
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
        """From training faces, uint8 (N, S, S, 3).

        Raises:
            InputError: 32 pictures or fewer, or a side that is no multiple of 16.
        """
        if len(train) <= COMPONENTS:
            raise InputError(f"{COMPONENTS} principal components need more than {len(train)} training faces")
        rows = thumbnails(train)
        mean = rows.mean(0)
        _, _, across = np.linalg.svd(rows - mean, full_matrices=False)
        return cls(mean, across[:COMPONENTS].T)

    def features(self, pictures: NDArray[np.uint8]) -> Array:
        """(N, 32): where pictures lie along the components; pixels in [0, 1]."""
        return np.asarray((thumbnails(pictures) - self.mean) @ self.axes)

    def distance(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
        """The squared Frechet distance of two sets (pixels in [0, 1]); sets of 33 pictures or more mean something."""
        one, two = self.features(a), self.features(b)
        return frechet(one.mean(0), np.cov(one.T), two.mean(0), np.cov(two.T))


def thumbnails(pictures: NDArray[np.uint8]) -> Array:
    """uint8 (N, S, S, 3) as the area means (N, 768) of 16 x 16 pixels in [0, 1].

    Raises:
        InputError: S is no multiple of 16.
    """
    count, side = pictures.shape[:2]
    if side % SIDE:
        raise InputError(f"thumbnails of {SIDE} px need a side that is a multiple of it, not {side}")
    factor = side // SIDE
    blocks = pictures.reshape(count, SIDE, factor, SIDE, factor, 3)
    return np.asarray(blocks.mean((2, 4), dtype=np.float64).reshape(count, -1) / 255)


def frechet(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """`|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^1/2 C_b C_a^1/2)^1/2)`: means (d,), covariances (d, d)."""
    root = _root(cov_a)
    middle = np.linalg.eigvalsh(root @ cov_b @ root)
    cross = np.sqrt(np.maximum(middle, 0)).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def _root(cov: Array) -> Array:
    values, vectors = np.linalg.eigh(cov)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


class FdPcaOptions(Options):
    """The metric `fd-pca` has no options."""

    part = "fd-pca"


class FdPcaMetric:
    """Frechet distance in the space of the reference set's own 32 principal components. It is not an FID.

    33 pairs or more, of a side that is a multiple of 16. `python -m benchmarks prior` fits the components to training faces
    instead, so that its figures cannot be compared with these.
    """

    lower_is_better = True
    label: ClassVar[str] = "FD-PCA"

    def __init__(self, options: FdPcaOptions | None = None, tools: Tools | None = None) -> None:
        self.options = options or FdPcaOptions()

    def collect(self, part: bool = False) -> FdPcaCollection:
        """Two empty sets."""
        return FdPcaCollection()


class FdPcaCollection:
    """Two sets in the making: means and covariances of their thumbnails."""

    def __init__(self) -> None:
        self.sets = (Moments(), Moments())
        self.problem = ""

    def add(self, restored: Sequence[Image], reference: Sequence[Image]) -> None:
        """Take in pairs."""
        try:
            if any(image.height != image.width for image in [*restored, *reference]):
                raise InputError("FD-PCA needs square pictures")
            for moments, images in zip(self.sets, (restored, reference), strict=True):
                if images:
                    moments.add(np.concatenate([thumbnails(image.to_uint8()[None]) for image in images]))
        except InputError as error:
            self.problem = str(error)

    def distance(self) -> Distance:
        """The distance; unknown for fewer than 33 pairs."""
        ours, truth = self.sets
        if self.problem:
            return Distance.unknown(truth.count, self.problem)
        if min(ours.count, truth.count) <= COMPONENTS:
            return Distance.unknown(truth.count, f"FD-PCA needs more than {COMPONENTS} pairs")
        _, vectors = np.linalg.eigh(truth.covariance)
        axes = vectors[:, -COMPONENTS:]
        cov = [axes.T @ moments.covariance @ axes for moments in self.sets]
        value = frechet(ours.mean @ axes, cov[0], truth.mean @ axes, cov[1])
        return Distance(value, None, truth.count)
