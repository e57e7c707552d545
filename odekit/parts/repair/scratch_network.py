"""The scratch network of the stage `mend`: a U-Net that detects scratched pixels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

INITIAL_LOGIT = -4.0
"""Initial logit of "scratched". Scratches are rare."""
NEGATIVE_SLOPE = 0.1
"""Negative slope of the leaky rectifiers."""


class ScratchNet(nn.Module):
    """A U-Net without normalisation, so that an output depends only on a neighbourhood of the input.

    A pixel unshuffle by 2 (the inverse of ESPCN's shuffle, arXiv:1609.05158), then scales, each half of the previous
    one, of residual pairs of convolutions (as in DRUNet, arXiv:2008.13751). The output is the logit of "scratched".
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 96, 96), pairs: Sequence[int] = (1, 1, 1, 1)) -> None:
        """Make a network with random weights.

        Args:
            widths: channels of the scales, finest (half the side) first.
            pairs: number of convolution pairs at each scale (in the encoder, and again in the decoder).
        """
        super().__init__()
        self.first = nn.Conv2d(12, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_pairs(width, count) for width, count in zip(widths, pairs, strict=True))
        steps = list(itertools.pairwise(widths))
        self.reduce = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.enlarge = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in steps)
        self.up = nn.ModuleList(_pairs(width, count) for width, count in zip(widths[:-1], pairs[:-1], strict=True))
        self.last = nn.Conv2d(widths[0], 4, 3, padding=1)
        for outer in (self.first, *self.reduce, *self.enlarge):
            nn.init.kaiming_normal_(outer.weight, nonlinearity="linear")
            nn.init.zeros_(outer.bias)
        nn.init.zeros_(self.last.weight)
        nn.init.constant_(self.last.bias, INITIAL_LOGIT)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [0, 1], sides multiples of `side_multiple`, to logits (N, H, W)."""
        a = self.down[0](self.first(functional.pixel_unshuffle(x - 0.5, 2)))
        skips = []
        for reduce, pairs in zip(self.reduce, list(self.down)[1:], strict=True):
            skips.append(a)
            a = pairs(reduce(a))
        for enlarge, pairs, skip in zip(reversed(self.enlarge), reversed(self.up), reversed(skips), strict=True):
            a = pairs(skip + functional.pixel_shuffle(enlarge(a), 2))
        return functional.pixel_shuffle(self.last(a), 2)[:, 0]


def side_multiple(scales: int) -> int:
    """Sides of the input are multiples of this, for a network with this number of scales."""
    return int(2**scales)


class ResidualPair(nn.Module):
    """Residual block: two convolutions added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.one.weight, a=NEGATIVE_SLOPE)
        nn.init.zeros_(self.one.bias)  # type: ignore[arg-type]
        nn.init.kaiming_normal_(self.two.weight, nonlinearity="linear")
        with torch.no_grad():
            self.two.weight.mul_(0.3)
        nn.init.zeros_(self.two.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        out: Tensor = x + self.two(functional.leaky_relu(self.one(x), NEGATIVE_SLOPE, inplace=True))
        return out


def _pairs(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[ResidualPair(width) for _ in range(count)])
