"""Colour correction after stage 2: coarse colours from one picture, detail from another."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 5


def coarse(picture: Tensor) -> Tensor:
    """(N, C, H, W) after five blurs by (1, 2, 1) / 4 along both axes, 1, 2, 4, 8 and 16 pixels apart: the
    coarsest level of an undecimated wavelet transform. Borders are replicated.
    """
    channels = picture.shape[1]
    kernel_1d = torch.tensor([0.25, 0.5, 0.25], dtype=picture.dtype, device=picture.device)
    kernel = torch.outer(kernel_1d, kernel_1d).expand(channels, 1, 3, 3)
    for level in range(LEVELS):
        radius = 2**level
        padded = functional.pad(picture, (radius, radius, radius, radius), mode="replicate")
        picture = functional.conv2d(padded, kernel, groups=channels, dilation=radius)
    return picture


def transfer_coarse_colours(picture: Tensor, colours: Tensor) -> Tensor:
    """`picture` with its coarse level replaced by that of `colours`, both (N, C, H, W)."""
    return picture - coarse(picture) + coarse(colours)
