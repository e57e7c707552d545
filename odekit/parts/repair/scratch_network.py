"""The network of the stage `mend`: what a damaged photograph lacks, and where it is scratched."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 8
"""Sides that the network sees are multiples of this."""
RARE = -4.0
"""Logit of "scratched" in a fresh network: from 0, learning that scratches are rare tore up all that it knew."""
SLOPE = 0.1
"""Of the rectifiers below zero."""


class MendNet(nn.Module):
    """A U-Net of plain convolutions without normalisation, so that a pixel depends on a neighbourhood alone.

    Pixels are laid out 2 x 2 in depth (ESPCN's shuffle, arXiv:1609.05158, undone), then three sizes, each half of the
    one before, of residual pairs of convolutions (as in DRUNet, arXiv:2008.13751). Four planes come out: what to add to
    red, green and blue, and the logit of "scratched here".
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 96), pairs: tuple[int, int, int] = (1, 1, 1)) -> None:
        """`widths` of the three sizes; `pairs` of convolutions at each (on the way down, and up again)."""
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
            self.last.bias.copy_(torch.tensor([0.0] * 12 + [RARE] * 4))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Photographs (N, 3, H, W) in [0, 1], sides multiples of 8, to (N, 4, H, W): RGB to add, and a logit."""
        a = self.down1(self.first(functional.pixel_unshuffle(x - 0.5, 2)))
        b = self.down2(self.to2(a))
        c = self.deep(self.to3(b))
        b = self.up2(b + functional.pixel_shuffle(self.from3(c), 2))
        a = self.up1(a + functional.pixel_shuffle(self.from2(b), 2))
        return functional.pixel_shuffle(self.last(a), 2)


class Pair(nn.Module):
    """Two convolutions added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.one.weight, a=SLOPE)
        nn.init.zeros_(self.one.bias)  # type: ignore[arg-type]
        nn.init.kaiming_normal_(self.two.weight, nonlinearity="linear")
        with torch.no_grad():
            self.two.weight.mul_(0.3)
        nn.init.zeros_(self.two.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        out: Tensor = x + self.two(functional.leaky_relu(self.one(x), SLOPE, inplace=True))
        return out


def _pairs(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[Pair(width) for _ in range(count)])
