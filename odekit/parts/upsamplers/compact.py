"""The compact convolutional upsampler of Real-ESRGAN, known as Compact or SRVGGNetCompact (as in spandrel)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Compact(nn.Module):
    """Convolutions at the small size and one pixel shuffle, added to the nearest-neighbour enlargement.

    The compact variant of Real-ESRGAN (arXiv:2107.10833): `body` is the first convolution, PReLU, `convs` times
    (convolution, PReLU), and the last convolution to 3 scale^2 channels. The tensor names are part of the file format.
    """

    def __init__(self, features: int = 48, convs: int = 12, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(convs):
            layers += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        last = nn.Conv2d(features, 3 * scale**2, 3, padding=1)
        self.body = nn.ModuleList([*layers, last])
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=0.25)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [0, 1] to (N, 3, scale H, scale W), not clipped."""
        return self.base(x) + self.detail(x)

    def base(self, x: Tensor) -> Tensor:
        """Nearest-neighbour enlargement: every pixel is repeated `scale` times along both axes."""
        return functional.interpolate(x, scale_factor=self.scale, mode="nearest")

    def detail(self, x: Tensor) -> Tensor:
        """The residual that is added to `base`, of the same shape."""
        out = x
        for layer in self.body:
            out = layer(out)
        return functional.pixel_shuffle(out, self.scale)
