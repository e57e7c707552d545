"""The aligner's network: regresses the position of a face in a crop, and the logit that there is one."""

from __future__ import annotations

import itertools

from torch import Tensor, cat, nn

SIDE = 64
"""Side of the input crop in pixels."""


class AlignerNet(nn.Module):
    """Convolutions down to 4 x 4, then two dense layers.

    It returns five numbers per crop: a - 1, b, x and y of the similarity `u = [[a, -b], [b, a]] q + (x, y)` that maps
    template points to the crop, both in coordinates from -1 to 1; and the logit of "this is a face".
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 96), dense: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_conv(3, widths[0], 5, 2)]
        for i, (before, after) in enumerate(itertools.pairwise(widths)):
            layers += [*_conv(before, after, 3, 2), *[ResidualBlock(after) for _ in range(2 if i == 1 else 1)]]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(widths[-1] * (SIDE // 2 ** len(widths)) ** 2, dense), nn.ReLU())
        self.where = nn.Linear(dense, 4)
        self.score = nn.Linear(dense, 1)
        nn.init.zeros_(self.where.weight)
        nn.init.zeros_(self.where.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Crops (N, 3, 64, 64) in [0, 1] to (N, 5)."""
        mean = x.mean((1, 2, 3), keepdim=True)
        std = x.std((1, 2, 3), keepdim=True)
        features = self.head(self.body((x - mean) / (std + 0.03)).flatten(1))
        return cat([self.where(features), self.score(features)], 1)


class ResidualBlock(nn.Module):
    """Residual block: a convolution added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(*_conv(width, width, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same shape."""
        out: Tensor = x + self.inner(x)
        return out


def _conv(before: int, after: int, kernel: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]
