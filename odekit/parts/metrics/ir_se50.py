"""The face recognition network IR-SE50: pre-activation residual units with squeeze and excitation, 50 layers.

He et al., arXiv:1603.05027 (pre-activation units); Hu et al., arXiv:1709.01507 (squeeze and excitation); Deng et al.,
arXiv:1801.07698, section 3.1 (the units and the output layer; trained with ArcFace). Module names are those of the
published weights.
"""

from __future__ import annotations

from torch import Tensor, nn

STAGES = ((64, 64, 3), (64, 128, 4), (128, 256, 14), (256, 512, 3))
"""Input channels, output channels and number of units; the first unit of each stage halves the side."""
SIDE = 112
"""Side of the input in pixels."""


class SqueezeExcitation(nn.Module):
    """Squeeze and excitation: scales channels by a function of their means."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        weights: Tensor = self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return x * weights


class ResidualUnit(nn.Module):
    """One residual unit, which may reduce the side by `stride`."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = (
            nn.MaxPool2d(1, stride)
            if inside == outside
            else nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inside),
            nn.Conv2d(inside, outside, 3, 1, 1, bias=False),
            nn.PReLU(outside),
            nn.Conv2d(outside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            SqueezeExcitation(outside),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        out: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return out


class IrSe50(nn.Module):
    """The network, from 112 x 112 pixels to a vector of 512 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        units = []
        for inside, outside, count in STAGES:
            units += [ResidualUnit(inside, outside, 2), *(ResidualUnit(outside, outside, 1) for _ in range(count - 1))]
        self.body = nn.Sequential(*units)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Faces (N, 3, 112, 112), RGB in [-1, 1], to vectors (N, 512) of length 1."""
        out = self.output_layer(self.body(self.input_layer(x)))
        unit: Tensor = out / out.norm(dim=1, keepdim=True)
        return unit
