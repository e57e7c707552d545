"""The generator of StyleGAN2 (Karras et al., arXiv:1912.04958), with the tensor names of its published PyTorch layout.

Written from the paper. All weights are stored with unit variance and multiplied by 1 / sqrt(fan_in) when used
(arXiv:1710.10196, section 4.1); activations are leaky ReLU of slope 0.2 times sqrt(2).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-8
"""Added to means and sums of squares before their root is taken."""
BLUR = (1.0, 3.0, 3.0, 1.0)
"""The filter of every upsampling, along each axis, before normalisation."""
MAPPING_RATE = 0.01
"""Factor on the weights and biases of the mapping network (its learning rate in training)."""


def blur_kernel(like: Tensor | None = None) -> Tensor:
    """The filter (4, 4) of upsampling by 2; it sums to 4, because three of four samples are zero."""
    taps = torch.tensor(BLUR) if like is None else like.new_tensor(BLUR)
    return torch.outer(taps, taps) * (4 / taps.sum() ** 2)


def activation(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, times sqrt(2)."""
    return functional.leaky_relu(x, 0.2) * math.sqrt(2)


class EqualLinear(nn.Module):
    """`x W^T rate / sqrt(inside) + bias rate`."""

    def __init__(self, inside: int, outside: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outside, inside))
        self.bias = nn.Parameter(torch.empty(outside))
        self.rate = rate
        self.scale = rate / math.sqrt(inside)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside) to (N, outside)."""
        return functional.linear(x, self.weight * self.scale, self.bias * self.rate)


class PixelNorm(nn.Module):
    """Divides each row by its root mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) to (N, C)."""
        return x * (x.square().mean(1, keepdim=True) + EPS).rsqrt()


class MappingLayer(EqualLinear):
    """One layer of the mapping network."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) to (N, C)."""
        return activation(super().forward(x))


class ModulatedConv(nn.Module):
    """A convolution whose weights are multiplied by a style per input channel; `up` doubles the side.

    Section 2.2 and equations 1 and 3 of the paper. Scaling the input channels by the style and the output channels by
    the demodulation factor gives the same as scaling the weights of each row.
    """

    def __init__(self, inside: int, outside: int, side: int, code: int, up: bool = False, normed: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, outside, inside, side, side))
        self.modulation = EqualLinear(code, inside)
        self.scale = 1 / math.sqrt(inside * side * side)
        self.up, self.normed, self.padding = up, normed, side // 2

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        """(N, inside, H, W) with codes (N, code) to (N, outside, H, W), or twice the side."""
        style = self.modulation(codes)
        weight = self.weight[0] * self.scale
        x = x * style[:, :, None, None]
        if self.up:
            x = blur(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        else:
            x = functional.conv2d(x, weight, padding=self.padding)
        if self.normed:
            squares = functional.linear(style.square(), weight.square().sum((2, 3)))
            x = x * (squares + EPS).rsqrt()[:, :, None, None]
        return x


def blur(x: Tensor) -> Tensor:
    """Filter (N, C, 2H + 1, 2W + 1) to (N, C, 2H, 2W), after a transposed convolution of stride 2."""
    n, channels, height, width = x.shape
    planes = x.reshape(n * channels, 1, height, width)
    out = functional.conv2d(planes, blur_kernel(x)[None, None], padding=1)
    return out.view(n, channels, height - 1, width - 1)


def doubled(picture: Tensor) -> Tensor:
    """Twice the side: zeros inserted, then the filter."""
    kernel = blur_kernel(picture).expand(picture.shape[1], 1, 4, 4)
    return functional.conv_transpose2d(picture, kernel, stride=2, padding=1, groups=picture.shape[1])


class NoiseStrength(nn.Module):
    """The one strength of a layer's noise."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Add the noise (1 or N, 1, H, W) to (N, C, H, W)."""
        return x + self.weight * noise


class BiasedActivation(nn.Module):
    """Bias per channel, then the activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return activation(x + self.bias[:, None, None])


class StyledConv(nn.Module):
    """Modulated 3 x 3 convolution, noise, activation."""

    def __init__(self, inside: int, outside: int, code: int, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inside, outside, 3, code, up)
        self.noise = NoiseStrength()
        self.activate = BiasedActivation(outside)

    def forward(self, x: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
        """See `ModulatedConv.forward`; noise (1 or N, 1, side, side) of the output's side."""
        out: Tensor = self.activate(self.noise(self.conv(x, codes), noise))
        return out


class ToRgb(nn.Module):
    """A picture from features, added to the enlarged picture of the level below."""

    def __init__(self, inside: int, code: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(1, 3, 1, 1))
        self.conv = ModulatedConv(inside, 3, 1, code, normed=False)

    def forward(self, x: Tensor, codes: Tensor, below: Tensor | None) -> Tensor:
        """(N, inside, S, S) and a picture (N, 3, S/2, S/2), or None at the lowest level, to (N, 3, S, S)."""
        picture: Tensor = self.conv(x, codes) + self.bias
        return picture if below is None else picture + doubled(below)


class LearnedInput(nn.Module):
    """The constant 4 x 4 features at which every picture begins."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.empty(1, channels, 4, 4))


class Noises(nn.Module):
    """The stored noise, one picture for each convolution: 4, 8, 8, 16, 16, ..."""

    def __init__(self, sides: Sequence[int]) -> None:
        super().__init__()
        for i, side in enumerate(sides):
            self.register_buffer(f"noise_{i}", torch.empty(1, 1, side, side))


class Generator(nn.Module):
    """The synthesis network with skip connections to RGB, and the mapping network.

    Level j has side 4 * 2^j; `widths` gives its channels.
    """

    def __init__(self, widths: Sequence[int], code: int = 512, mapping: int = 8) -> None:
        super().__init__()
        self.side = 4 * 2 ** (len(widths) - 1)
        self.codes = 2 * len(widths)
        self.noise_sides = [4, *(4 * 2**j for j in range(1, len(widths)) for _ in range(2))]
        self.style = nn.Sequential(PixelNorm(), *(MappingLayer(code, code, MAPPING_RATE) for _ in range(mapping)))
        self.input = LearnedInput(widths[0])
        self.conv1 = StyledConv(widths[0], widths[0], code)
        self.to_rgb1 = ToRgb(widths[0], code)
        pairs = list(itertools.pairwise(widths))
        self.convs = nn.ModuleList(
            conv for a, b in pairs for conv in (StyledConv(a, b, code, up=True), StyledConv(b, b, code))
        )
        self.to_rgbs = nn.ModuleList(ToRgb(b, code) for _, b in pairs)
        self.noises = Noises(self.noise_sides)

    def mapping(self, z: Tensor) -> Tensor:
        """Codes (N, code) of normal random numbers (N, code)."""
        codes: Tensor = self.style(z)
        return codes

    def stored_noise(self) -> list[Tensor]:
        """The stored noise of each convolution, (1, 1, side, side)."""
        return [getattr(self.noises, f"noise_{i}") for i in range(len(self.noise_sides))]

    def pictures(self, codes: Tensor, noise: Sequence[Tensor] | None = None) -> Iterator[Tensor]:
        """The picture of each level, lowest first; see `forward`."""
        noise = self.stored_noise() if noise is None else noise
        x = self.conv1(self.input.input, codes[:, 0], noise[0])
        picture = self.to_rgb1(x, codes[:, 1], None)
        yield picture
        for j, to_rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * j](x, codes[:, 2 * j + 1], noise[2 * j + 1])
            x = self.convs[2 * j + 1](x, codes[:, 2 * j + 2], noise[2 * j + 2])
            picture = to_rgb(x, codes[:, 2 * j + 3], picture)
            yield picture

    def forward(self, codes: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """A picture (N, 3, side, side), about [-1, 1] and unbounded.

        Args:
            codes: (N, self.codes, code), one code for each layer (w+), not z.
            noise: for each convolution (1 or N, 1, side, side), sides as in `noise_sides`; None: the stored noise.
        """
        *_, last = self.pictures(codes, noise)
        return last
