"""The cosine transform of small blocks, in which noise is measured and removed."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from odekit.images import dct

Floats = NDArray[np.float32]
SIDE = 16
"""Side of the blocks."""
SMALL = 262_144
"""Multiplications of a product of matrices, up to which OpenBLAS uses one thread."""


@cache
def dct_matrix(side: int = SIDE) -> Floats:
    """The matrix of `odekit.images.dct` in float32."""
    out: Floats = dct.dct_matrix(side).astype(np.float32)
    return out


def transform(blocks: Floats, matrix: Floats) -> Floats:
    """`matrix @ block @ matrix.T` for every block of (N, S, S)."""
    count, side = blocks.shape[0], blocks.shape[1]
    rows = _product(blocks.reshape(-1, side), matrix.T).reshape(count, side, side).transpose(0, 2, 1)
    both = _product(np.ascontiguousarray(rows).reshape(-1, side), matrix.T)
    return both.reshape(count, side, side).transpose(0, 2, 1)


def _product(rows: Floats, matrix: Floats) -> Floats:
    """`rows @ matrix` in products that are small enough for one thread: the last bits of larger ones depend on it."""
    out = np.empty((len(rows), matrix.shape[1]), np.result_type(rows, matrix))
    step = SMALL // matrix.size
    for start in range(0, len(rows), step):
        np.matmul(rows[start : start + step], matrix, out=out[start : start + step])
    return out
