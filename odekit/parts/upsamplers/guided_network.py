"""The network of `face-guided`: detail for a restored face that sees the original face, too."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

START_GATE = 3.0
"""Logit of the share of the original in a new network: 95 %."""
PATTERN_TAPS = 33
"""Length of the filters that take a pixel shuffle's pattern off. Shorter ones take more detail with it (LPIPS of
medium damage .189 with 17 taps, .165 with 33, .159 without the filter), in longer ones it shows beside edges."""


class GuidedNet(nn.Module):
    """Convolutions at the small size on both faces, and one pixel shuffle (layout of `Compact`, arXiv:2107.10833).

    The output is `g y + (1 - g) up(x) + detail`: x the restored face, y the original, and g, between 0 and 1, how far
    the network trusts the original at each small pixel.

    Args:
        features: width of the convolutions.
        convs: convolutions between the first and the last.
        scale: side of the original over the side of the restored face.
        context: width of `Context`, which sees the whole face; 0 for a network without it.
    """

    def __init__(self, features: int = 64, convs: int = 16, scale: int = 4, context: int = 0) -> None:
        super().__init__()
        self.scale = scale
        self.context = Context(features, context) if context else None
        self.context_at = 2 * (convs // 2 + 1)
        inputs, outputs = 3 + 3 * scale**2, 3 * scale**2 + 1
        layers: list[nn.Module] = [nn.Conv2d(inputs, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(convs):
            layers += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        last = nn.Conv2d(features, outputs, 3, padding=1)
        self.body = nn.ModuleList([*layers, last])
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=0.25)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias[-1] = START_GATE  # type: ignore[index]

    def forward(self, small: Tensor, original: Tensor, trust: Tensor | float = 1.0) -> Tensor:
        """Enlarge restored faces.

        Args:
            small: restored faces (N, 3, h, w) in [0, 1].
            original: the faces before the restoration (N, 3, scale h, scale w) in [0, 1].
            trust: share of the original that the network sees, in [0, 1]; a number, or (N, 1, 1, 1). At 0 it sees the
                enlarged restored face in its place.

        Returns:
            (N, 3, scale h, scale w), not clipped.
        """
        large = functional.interpolate(small, scale_factor=self.scale, mode="bicubic", align_corners=False)
        original = large + trust * (original - large)
        gate, detail = self.parts(small, original)
        return large + gate * (original - large) + detail

    def parts(self, small: Tensor, original: Tensor) -> tuple[Tensor, Tensor]:
        """The share of the original (N, 1, H, W), and the detail that is added (N, 3, H, W)."""
        out = torch.cat([small, functional.pixel_unshuffle(original, self.scale)], 1)
        for number, layer in enumerate(self.body):
            if self.context is not None and number == self.context_at:
                out = out + self.context(out)
            out = layer(out)
        gate = functional.interpolate(
            torch.sigmoid(out[:, -1:].float()), scale_factor=self.scale, mode="bilinear", align_corners=False
        )
        return gate, without_pattern(functional.pixel_shuffle(out[:, :-1], self.scale), self.scale)


class Context(nn.Module):
    """Convolutions at a half and a quarter of the small size, whose receptive field is the whole face.

    The plain convolutions see about half of the face at once, too little to tell the rim of spectacles from a brow.
    The last convolution starts at zero, so that a trained network without a context can be trained on.
    """

    def __init__(self, features: int, width: int, convs: int = 4) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int, stride: int = 1, gain: float = 1.0) -> nn.Sequential:
            layer = nn.Conv2d(inputs, outputs, 3, stride, 1)
            nn.init.kaiming_normal_(layer.weight, a=0.25)
            layer.weight.data *= gain
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            return nn.Sequential(layer, nn.PReLU(outputs))

        self.down = nn.Sequential(conv(features, width, 2), conv(width, width))
        self.enter = conv(width, 2 * width, 2)
        self.quarter = nn.ModuleList(conv(2 * width, 2 * width, gain=0.3) for _ in range(convs))
        self.leave = conv(2 * width, width)
        self.merge = conv(width, width)
        self.last = nn.Conv2d(width, features, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """What is added to features (N, C, H, W); H and W are multiples of 4."""
        half = self.down(x)
        quarter = self.enter(half)
        for block in self.quarter:
            quarter = quarter + block(quarter)
        half = self.merge(half + doubled(self.leave(quarter)))
        return doubled(self.last(half))


def without_pattern(detail: Tensor, scale: int, taps: int = PATTERN_TAPS) -> Tensor:
    """Detail (N, C, H, W) of a pixel shuffle by `scale` without its regular pattern.

    Neighbouring pixels come from different channels, which agree only roughly; on smooth skin and teeth that shows.
    What is taken off is a narrow band around the frequency 1 / scale, first along rows, then along columns, by filters
    of `taps` (an odd number) values.
    """
    if scale == 1:
        return detail
    place = torch.arange(taps, device=detail.device) - taps // 2
    window = torch.hann_window(taps + 2, periodic=False, device=detail.device)[1:-1]
    wave = torch.cos(2 * torch.pi * place / scale)
    band = (window * wave / (window * wave**2).sum()).to(detail.dtype)
    channels, reach = detail.shape[1], taps // 2
    for shape, padding in (((1, taps), (reach, reach, 0, 0)), ((taps, 1), (0, 0, reach, reach))):
        kernel = band.view(1, 1, *shape).expand(channels, -1, -1, -1)
        padded = functional.pad(detail, padding, mode="replicate")
        detail = detail - functional.conv2d(padded, kernel, groups=channels)
    return detail


def doubled(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def from_unguided(state: Mapping[str, Tensor], network: GuidedNet) -> None:
    """Start from a network of the same width that sees the original only, or only the restored face (`face-x4`).

    Args:
        state: its tensors, named `body.N...`; the first convolution has 3 scale^2 or 3 inputs.
        network: its weights are replaced; the additional inputs start at 0.
    """
    own = network.state_dict()
    first, last = "body.0.weight", f"body.{len(network.body) - 1}"
    for name, tensor in state.items():
        tensor = tensor.float()
        if name == first:
            own[name].zero_()
            (own[name][:, :3] if tensor.shape[1] == 3 else own[name][:, 3:]).copy_(tensor)
        elif name.startswith(last):
            own[name][:-1].copy_(tensor)
        else:
            own[name].copy_(tensor)
    network.load_state_dict(own)
