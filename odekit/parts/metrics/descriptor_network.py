"""dlib's face recognition network (King 2017, dlib.net, `dlib_face_recognition_resnet_model_v1`): a ResNet with 29
convolutions that turns a face of 150 px into 128 numbers. Faces of one person lie within 0.6 of each other at 150 px.

The layout is that of the weights: convolutions with a scale and an offset per channel in place of batch normalisation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, pad, relu

SIDE = 150
MEAN = (122.782, 117.001, 104.298)
"""Of R, G and B, subtracted from 8-bit values before they are divided by 256."""
BLOCKS = (
    ("conv32_1", 32, 32), ("conv32_2", 32, 32), ("conv32_3", 32, 32),
    ("conv64_down", 32, 64), ("conv64_1", 64, 64), ("conv64_2", 64, 64), ("conv64_3", 64, 64),
    ("conv128_down", 64, 128), ("conv128_1", 128, 128), ("conv128_2", 128, 128),
    ("conv256_down", 128, 256), ("conv256_1", 256, 256), ("conv256_2", 256, 256),
    ("conv256_down_out", 256, 256),
)  # fmt: skip
"""Name, channels in, channels out; names with `down` halve the side."""


class ScaledConv(nn.Module):
    """A convolution, then a scale and an offset per channel."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.scale = nn.Parameter(torch.ones(outputs))
        self.offset = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        out: Tensor = self.conv(x) * self.scale[:, None, None] + self.offset[:, None, None]
        return out


class Block(nn.Module):
    """Two convolutions and a shortcut; where the side is halved, the shortcut is a mean of 2 x 2 pixels."""

    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = ScaledConv(inputs, outputs, 3, 2 if down else 1, 0 if down else 1)
        self.conv2 = ScaledConv(outputs, outputs, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        out = self.conv2(relu(self.conv1(x)))
        short = avg_pool2d(x, 2) if self.down else x
        height, width = max(out.shape[2], short.shape[2]), max(out.shape[3], short.shape[3])
        channels = max(out.shape[1], short.shape[1])
        return relu(filled(out, channels, height, width) + filled(short, channels, height, width))


def filled(x: Tensor, channels: int, height: int, width: int) -> Tensor:
    """x with zeros after its channels, rows and columns up to this shape."""
    return pad(x, (0, width - x.shape[3], 0, height - x.shape[2], 0, channels - x.shape[1]))


class FaceDescriptor(nn.Module):
    """(N, 3, 150, 150) of 8-bit values to (N, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.first = ScaledConv(3, 32, 7, 2, 0)
        self.blocks = nn.ModuleDict({name: Block(i, o, "down" in name) for name, i, o in BLOCKS})
        self.last = nn.Linear(256, 128, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The descriptors."""
        x = max_pool2d(relu(self.first((x - self.mean) / 256)), 3, 2)
        for block in self.blocks.values():
            x = block(x)
        out: Tensor = self.last(x.mean((2, 3)))
        return out
