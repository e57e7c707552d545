"""The metric `fd-pca`: the Frechet distance of `odekit.metrics.fd_pca` on sets of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from odekit.errors import InputError
from odekit.image import Image
from odekit.interfaces import Tools
from odekit.metrics.fd_pca import COMPONENTS, frechet, thumbnails
from odekit.metrics.moments import Moments
from odekit.metrics.sets import Distance
from odekit.options import Options


class FdPcaOptions(Options):
    """The metric `fd-pca` has no options."""

    part = "fd-pca"


class FdPcaMetric:
    """Frechet distance in the space of the reference set's own 32 principal components. It is not an FID.

    33 pairs or more, of a side that is a multiple of 16. `odekit bench prior` takes the components of training faces
    instead, so its figures do not compare with these.
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
