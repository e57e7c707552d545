"""Coarse colours from one picture, detail from another: what DiffBIR does after stage 2."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 5


def coarse(picture: Tensor) -> Tensor:
    """(N, C, H, W) after five blurs by (1, 2, 1) / 4 along both axes, 1, 2, 4, 8 and 16 pixels apart: the
    coarsest level of an undecimated wavelet transform. Edges are repeated.
    """
    channels = picture.shape[1]
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=picture.dtype, device=picture.device)
    kernel = torch.outer(taps, taps).expand(channels, 1, 3, 3)
    for level in range(LEVELS):
        reach = 2**level
        wider = functional.pad(picture, (reach, reach, reach, reach), mode="replicate")
        picture = functional.conv2d(wider, kernel, groups=channels, dilation=reach)
    return picture


def recoloured(picture: Tensor, colours: Tensor) -> Tensor:
    """`picture` with its coarse level replaced by that of `colours`, both (N, C, H, W)."""
    return picture - coarse(picture) + coarse(colours)
