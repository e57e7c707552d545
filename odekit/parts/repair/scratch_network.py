"""The scratch network of the stage `mend`: a U-Net that predicts a colour correction and scratched pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE_MULTIPLE = 8
"""Sides of the input must be multiples of this."""
INITIAL_LOGIT = -4.0
"""Initial logit of "scratched". Scratches are rare: training from 0 spoiled the other outputs while it learnt that."""
NEGATIVE_SLOPE = 0.1
"""Negative slope of the leaky rectifiers."""


class ScratchNet(nn.Module):
    """A U-Net without normalisation, so that an output depends only on a neighbourhood of the input.

    A pixel unshuffle by 2 (the inverse of ESPCN's shuffle, arXiv:1609.05158), then three scales, each half of the
    previous one, of residual pairs of convolutions (as in DRUNet, arXiv:2008.13751). The output has four planes: the
    correction to add to R, G and B, and the logit of "scratched".
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96), pairs: tuple[int, int, int] = (1, 1, 1)) -> None:
        """Make a network with random weights.

        Args:
            widths: channels of the three scales.
            pairs: number of convolution pairs at each scale (in the encoder, and again in the decoder).
        """
        super().__init__()
        one, two, three = widths
        self.first = nn.Conv2d(12, one, 3, padding=1)
        self.down1 = _pairs(one, pairs[0])
        self.to2 = nn.Conv2d(one, two, 2, stride=2)
        self.down2 = _pairs(two, pairs[1])
        self.to3 = nn.Conv2d(two, three, 2, stride=2)
        self.deep = _pairs(three, pairs[2])
        self.from3 = nn.Conv2d(three, 4 * two, 1)
        self.up2 = _pairs(two, pairs[1])
        self.from2 = nn.Conv2d(two, 4 * one, 1)
        self.up1 = _pairs(one, pairs[0])
        self.last = nn.Conv2d(one, 16, 3, padding=1)
        for outer in (self.first, self.to2, self.to3, self.from3, self.from2):
            nn.init.kaiming_normal_(outer.weight, nonlinearity="linear")
            nn.init.zeros_(outer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([0.0] * 12 + [INITIAL_LOGIT] * 4))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Photographs (N, 3, H, W) in [0, 1], sides multiples of 8, to (N, 4, H, W): RGB correction and logit."""
        a = self.down1(self.first(functional.pixel_unshuffle(x - 0.5, 2)))
        b = self.down2(self.to2(a))
        c = self.deep(self.to3(b))
        b = self.up2(b + functional.pixel_shuffle(self.from3(c), 2))
        a = self.up1(a + functional.pixel_shuffle(self.from2(b), 2))
        return functional.pixel_shuffle(self.last(a), 2)


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
