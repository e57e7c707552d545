"""The basis in which the errors of a denoiser are independent: cosines over the picture, luma and two chroma axes."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

EDGES = (0.5, 1.5, 2.5, 4.0, 6.0, 9.0, 13.0, 18.0, 25.0, 34.0, 46.0, 64.0, 90.0, 128.0, 180.0, 256.0, 360.0)
"""Upper ends of the frequency bands, in half periods over the picture; the last band is open."""
AXES = torch.tensor(
    [[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0.0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]],
    dtype=torch.float64,
)  # fmt: skip
"""Luma and two chroma axes of R, G, B; orthonormal."""


class CosineBasis:
    """An orthonormal transform of pictures (N, 3, H, W), and groups of its coefficients by frequency and colour axis.

    The transform is the DCT-II in both directions after a turn of the colours, so that white noise stays white.
    """

    def __init__(self, height: int, width: int, device: str = "cpu") -> None:
        self.rows, self.columns = (_dct(side).to(device) for side in (height, width))
        self.axes = AXES.to(device)
        frequency = torch.hypot(torch.arange(height).double()[:, None], torch.arange(width).double()[None])
        band = torch.bucketize(frequency, torch.tensor(EDGES, dtype=torch.float64))
        self.bands = int(band.max()) + 1
        """Frequency bands; luma and chroma have their own groups, so that there are twice as many groups."""
        self.group = torch.stack([band, band + self.bands, band + self.bands]).flatten().to(device)
        self.sizes = torch.bincount(self.group, minlength=2 * self.bands).clamp_min(1).double()
        self.order = torch.argsort(self.group, stable=True)
        self.counts: list[int] = torch.bincount(self.group, minlength=2 * self.bands).tolist()

    def forward(self, x: Tensor) -> Tensor:
        """Coefficients (N, 3, H, W) of pictures."""
        return self.rows @ torch.einsum("ab,nbhw->nahw", self.axes, x) @ self.columns.T

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Pictures with these coefficients."""
        return torch.einsum("ba,nbhw->nahw", self.axes, self.rows.T @ coefficients @ self.columns)

    def group_means(self, values: Tensor) -> Tensor:
        """Means (N, groups) of values (N, 3, H, W) over the groups."""
        sums = [torch.stack([part.sum() for part in row[self.order].split(self.counts)]) for row in values.flatten(1)]
        return torch.stack(sums) / self.sizes

    def spread(self, means: Tensor) -> Tensor:
        """(N, 3, H, W) with the value of its group (N, groups) at each coefficient."""
        height, width = len(self.rows), len(self.columns)
        return means[:, self.group].view(len(means), 3, height, width)

    def per_channel(self, variances: Tensor) -> Tensor:
        """Variances of R, G and B, (N, 3, 1, 1), of independent coefficients with these variances (N, 3, H, W)."""
        return (variances.mean(dim=(2, 3)) @ self.axes.square())[..., None, None]


def _dct(side: int) -> Tensor:
    """The orthonormal DCT-II as a matrix (side, side), one basis function per row."""
    k = torch.arange(side, dtype=torch.float64)
    matrix = torch.cos(math.pi * k[:, None] * (2 * k + 1) / (2 * side)) * math.sqrt(2 / side)
    matrix[0] /= math.sqrt(2)
    return matrix


@lru_cache(maxsize=8)
def cosine_basis(height: int, width: int, device: str) -> CosineBasis:
    """The basis for pictures of this size; made once."""
    return CosineBasis(height, width, device)
