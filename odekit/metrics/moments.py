"""Mean and covariance of vectors that come in batches (Chan, Golub and LeVeque 1983)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
