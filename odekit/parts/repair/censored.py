"""Power spectra of small blocks whose values may be clipped to [0, 1].

A clipped value is a censored observation: all that is known is that it was below 0 or above 1. The block is a quadratic
surface plus Gaussian noise, fitted by expectation maximisation (Tobit model: J. Tobin, "Estimation of relationships for
limited dependent variables", Econometrica 26, 1958; EM: Dempster, Laird, Rubin 1977): clipped values are replaced by
their conditional means, and their conditional variances are added to the power.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.parts.repair.dct import dct_matrix, transform

Floats = NDArray[np.float32]
LOWEST, HIGHEST = 0.5 / 255, 1 - 0.5 / 255
"""Values up to the first and from the second on are clipped."""
MAX_SHARE = 0.6
"""Largest share of clipped values in a usable block."""
MAX_FITTED = 3000
"""Largest number of blocks that are fitted."""
ITERATIONS = 40


def block_power(blocks: Floats) -> tuple[Floats, Floats]:
    """Power of each DCT coefficient of blocks (N, 3, S, S), mean over the channels: (n, S, S), and brightness (n,).

    n is N, or less where many blocks are clipped.
    """
    clipped = (blocks <= LOWEST) | (blocks >= HIGHEST)
    if clipped.any((1, 2, 3)).mean() > 0.5 and len(blocks) > MAX_FITTED:
        chosen = np.linspace(0, len(blocks) - 1, MAX_FITTED).astype(int)
        blocks, clipped = blocks[chosen], clipped[chosen]
    count, channels, side = blocks.shape[:3]
    values = blocks.reshape(-1, side, side).astype(np.float32)
    extra = np.zeros(len(values), np.float32)
    inside = clipped.reshape(len(values), -1).any(1)
    if inside.any():
        values = values.copy()
        values[inside], extra[inside] = impute(values[inside])
    energy = np.square(transform(values, dct_matrix(side))) + extra[:, None, None]
    return energy.reshape(count, channels, side, side).mean(1), values.mean((1, 2)).reshape(count, channels).mean(1)


def impute(blocks: Floats) -> tuple[Floats, Floats]:
    """Blocks (N, S, S) with conditional means in place of clipped values, and the mean conditional variance (N,)."""
    import torch  # not scipy.special, whose import takes a fifth of a second; torch is loaded already

    count, side = blocks.shape[:2]
    values = blocks.reshape(count, -1).astype(np.float64)
    surface = low_order_basis(side)
    freedom = side * side - len(surface)
    row, column = np.nonzero((values <= LOWEST) | (values >= HIGHEST))
    sign = np.where(values[row, column] <= LOWEST, -1.0, 1.0)  # the value was beyond 0 or 1 on this side
    limit = (sign + 1) / 2
    conditional = np.zeros(len(row))
    for _ in range(ITERATIONS):
        mean = (values @ surface.T) @ surface
        squares = np.square(values - mean).sum(1) + np.bincount(row, conditional, minlength=count)
        std = np.sqrt(np.maximum(squares / freedom, 1e-8))[row]
        centre = mean[row, column]
        alpha = sign * (limit - centre) / std  # distance of the limit, in standard deviations
        hazard = np.sqrt(2 / np.pi) / torch.special.erfcx(torch.from_numpy(alpha / np.sqrt(2))).numpy()
        values[row, column] = centre + sign * std * hazard
        conditional = np.square(std) * np.clip(1 + alpha * hazard - np.square(hazard), 0, 1)
    variance = np.bincount(row, conditional, minlength=count) / side**2
    return values.reshape(blocks.shape).astype(np.float32), variance.astype(np.float32)


def low_order_basis(side: int) -> NDArray[np.float64]:
    """The lowest cosine functions, of order 0 to 2, as rows (6, S * S): a smooth surface."""
    matrix = dct_matrix(side).astype(np.float64)
    return np.stack([np.outer(matrix[u], matrix[v]).ravel() for u in range(3) for v in range(3 - u)])
