"""RetinaFace's anchors, and the conversion of network outputs to boxes and points.

Each level of the pyramid has two square anchors at the centre of each cell. A box is stored as offsets from its
anchor (Liu et al., SSD, arXiv:1512.02325, section 2.2), in units of the anchor's size times a variance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

STRIDES = (8, 16, 32)
SIDES = ((16, 32), (64, 128), (256, 512))
"""Sides of the anchors in pixels, by level."""
VARIANCES = (0.1, 0.2)
"""Scales of the position offsets and of the logarithmic size offsets."""


def anchors(height: int, width: int) -> Tensor:
    """float32 (P, 4): centre x and y, width, height, as fractions of the picture.

    The order is that of the network's outputs: level, row, column, size.
    """
    size = torch.tensor([width, height], dtype=torch.float64)
    levels = []
    for stride, sides in zip(STRIDES, SIDES, strict=True):
        rows, columns = (torch.arange(math.ceil(side / stride), dtype=torch.float64) for side in (height, width))
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres = (torch.stack([x, y], dim=-1) + 0.5) * stride / size
        sizes = torch.tensor(sides, dtype=torch.float64)[:, None] / size
        levels.append(
            torch.cat(
                [
                    centres[:, :, None].expand(-1, -1, len(sides), -1),
                    sizes.expand(*y.shape, -1, -1),
                ],
                dim=-1,
            ).reshape(-1, 4)
        )
    return torch.cat(levels).float()


def boxes(offsets: Tensor, anchor: Tensor) -> Tensor:
    """(P, 4) x0, y0, x1, y1 as fractions of the picture, from offsets (P, 4) and anchors (P, 4)."""
    centre = anchor[:, :2] + offsets[:, :2] * VARIANCES[0] * anchor[:, 2:]
    size = anchor[:, 2:] * torch.exp(offsets[:, 2:] * VARIANCES[1])
    return torch.cat([centre - size / 2, centre + size / 2], dim=1)


def points(offsets: Tensor, anchor: Tensor) -> Tensor:
    """(P, 5, 2) x, y as fractions of the picture, from offsets (P, 10) and anchors (P, 4)."""
    return anchor[:, None, :2] + offsets.reshape(-1, 5, 2) * VARIANCES[0] * anchor[:, None, 2:]
