"""The discrete cosine transform as a matrix."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=16)
def dct_matrix(side: int) -> NDArray[np.float64]:
    """The orthonormal DCT-II as a matrix (side, side), one basis function per row.

    `m @ plane @ m.T` is `scipy.fft.dctn(plane, norm="ortho")`, without an import that takes as long as five faces.
    """
    k, x = np.mgrid[:side, :side]
    matrix: NDArray[np.float64] = np.cos(np.pi * k * (2 * x + 1) / (2 * side)) * np.sqrt(2 / side)
    matrix[0] /= np.sqrt(2)
    return matrix
