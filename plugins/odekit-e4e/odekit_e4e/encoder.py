"""The encoder of encoder4editing (Tov et al., SIGGRAPH 2021, arXiv:2102.02766): from a face to codes of StyleGAN2.

A residual network with squeeze and excitation (IR-SE-50), a feature pyramid of three levels, and a small convolutional
network ("map block") for each code. Tensor names are those of the published weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from odekit.plugins import ResidualUnit
from odekit_e4e.stylegan2 import EqualLinear

SIDE = 256
"""Side of the input in pixels."""
STAGES = ((1, 1, 3), (1, 2, 4), (2, 4, 14), (4, 8, 3))
"""The trunk: channels in and out over those of the first layer, and units, of which the first halves the side."""
TAPS = (6, 20, 23)
"""The trunk's units whose results enter the pyramid: sides 64, 32 and 16."""
LEVELS = ((3, 4), (7, 5))
"""(first code that another level makes, stride-2 convolutions of a map block below it)."""
DEEPEST = 6
"""Stride-2 convolutions of a map block of the finest level."""


def convolutions(index: int) -> int:
    """The number of stride-2 convolutions of a map block: they reduce its level's side to 1."""
    return next((count for end, count in LEVELS if index < end), DEEPEST)


class MapBlock(nn.Module):
    """Reduces a level of the pyramid to one code."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(count):
            layers += [nn.Conv2d(channels, channels, 3, 2, 1), nn.LeakyReLU(0.01)]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, S, S) with S = 2^count to (N, C)."""
        out: Tensor = self.linear(self.convs(x).flatten(1))
        return out


class Encoder(nn.Module):
    """Codes of a face. The trunk has `width` channels first (64 in the published network), and 8 times that last."""

    def __init__(self, codes: int = 18, width: int = 64) -> None:
        super().__init__()
        channels = 8 * width
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        units = []
        for inside, outside, count in ((a * width, b * width, count) for a, b, count in STAGES):
            units += [ResidualUnit(inside, outside, 2), *(ResidualUnit(outside, outside, 1) for _ in range(count - 1))]
        self.body = nn.Sequential(*units)
        self.styles = nn.ModuleList(MapBlock(channels, convolutions(i)) for i in range(codes))
        self.latlayer1 = nn.Conv2d(4 * width, channels, 1)
        self.latlayer2 = nn.Conv2d(2 * width, channels, 1)

    def pyramid(self, faces: Tensor) -> dict[str, Tensor]:
        """The taps c1, c2, c3 of the trunk and the levels p2, p1 of the pyramid.

        Raises:
            ValueError: the faces do not have 256 x 256 pixels. In the official program such a face gives several codes
                for each map block, as more rows of the batch.
        """
        if faces.shape[2:] != (SIDE, SIDE):
            raise ValueError(f"the encoder takes faces of {SIDE}x{SIDE} px, not {faces.shape[3]}x{faces.shape[2]}")
        x, taps = self.input_layer(faces), []
        for i, unit in enumerate(self.body):
            x = unit(x)
            if i in TAPS:
                taps.append(x)
        c1, c2, c3 = taps
        p2 = enlarged(c3, c2) + self.latlayer1(c2)
        p1 = enlarged(p2, c1) + self.latlayer2(c1)
        return {"c1": c1, "c2": c2, "c3": c3, "p2": p2, "p1": p1}

    def forward(self, faces: Tensor) -> Tensor:
        """Codes (N, codes, C) of faces (N, 3, 256, 256), RGB in [-1, 1], relative to the mean code.

        Every code but the first is the first one plus the result of its own map block (section 4.1 of the paper).
        """
        levels = self.pyramid(faces)
        features = {DEEPEST: levels["p1"], 5: levels["p2"], 4: levels["c3"]}
        first, *others = (block(features[convolutions(i)]) for i, block in enumerate(self.styles))
        return torch.stack([first, *(first + other for other in others)], dim=1)


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear enlargement to the side of `like`, corners aligned."""
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)
