"""Ridge regression for the calibrations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def ridge_weights(terms: Array, targets: Array, ridge: float) -> Array:
    """Weights (p, k) of the ridge regression of targets (n, k) on terms (n, p)."""
    weights = np.linalg.solve(terms.T @ terms + ridge * np.eye(terms.shape[1]), terms.T @ targets)
    return np.asarray(weights, np.float64)
