"""LPIPS: distance of pictures in the features of AlexNet, weighted by what people found alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.core.precision import precision
from odekit.errors import WeightsError
from odekit.parts.metrics.base import files, same_size, unit_batch

if TYPE_CHECKING:
    from torch import Tensor

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of pictures in [-1, 1], before AlexNet."""
TAPS = (1, 4, 7, 9, 11)
"""Layers of torchvision's `features` behind the five ReLUs."""
NAMES = ("alexnet", "lpips-alex")


class Lpips(Options):
    """The metric `lpips` has no options."""

    part = "lpips"


class LpipsMetric:
    """Zhang et al., arXiv:1801.03924, version 0.1 on AlexNet (torchvision's, ImageNet).

    Features of five layers, of length 1 in every place; the squared differences weighted by channel, the mean over
    places, summed over layers. 0 is equal. Pictures go in at their own size, of 31 px or more.
    """

    lower_is_better = True
    label: ClassVar[str] = "LPIPS"
    least_side: ClassVar[int] = 31

    def __init__(self, options: Lpips | None = None, tools: Tools | None = None) -> None:
        """Raises WeightsError where weights are absent or of another network."""
        import torch
        from torchvision.models import alexnet

        from odekit.plugins.weights.load import load_tensors

        self.options = options or Lpips()
        backbone, linear = files(tools, "lpips", NAMES)
        with torch.device("meta"):  # no random numbers for 61 million weights that are replaced
            network: Any = alexnet(weights=None).features
        tensors = load_tensors(backbone)
        features = {name.removeprefix("features."): t for name, t in tensors.items() if name.startswith("features.")}
        stored = load_tensors(linear)
        try:
            network.load_state_dict(features, assign=True)
            self.weights = [stored[f"lin{i}.model.1.weight"].float() for i in range(len(TAPS))]
        except (KeyError, RuntimeError) as error:
            raise WeightsError(
                f"{backbone} and {linear} are not AlexNet and LPIPS's weights for it ({error})"
            ) from error
        self.device = tools.device if tools is not None else "cpu"
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.weights = [weight.to(self.device) for weight in self.weights]
        self.shift = torch.tensor(SHIFT, device=self.device).view(1, 3, 1, 1)
        self.scale = torch.tensor(SCALE, device=self.device).view(1, 3, 1, 1)

    def measure(self, restored: Image, reference: Image) -> float:
        """The distance of one pair. Raises InputError where the sizes differ."""
        return self.measure_many([restored], [reference])[0]

    def measure_many(self, restored: Sequence[Image], reference: Sequence[Image]) -> list[float]:
        """The distances of pairs, all of one size. Raises InputError where sizes differ."""
        import torch
        from torch.nn import functional

        for one, other in zip(restored, reference, strict=True):
            same_size(one, other)
        total: Any = 0.0
        with torch.inference_mode(), precision("float32", self.device):
            pairs = zip(self._features(restored), self._features(reference), self.weights, strict=True)
            for a, b, weight in pairs:
                total = total + functional.conv2d((a - b) ** 2, weight).mean((1, 2, 3))
        return [float(value) for value in total]

    def _features(self, images: Sequence[Image]) -> list[Tensor]:
        x = (2 * unit_batch(images, self.device) - 1 - self.shift) / self.scale
        found = []
        for number, layer in enumerate(self.network):
            x = layer(x.clone() if number in TAPS else x)  # torchvision's ReLUs work in place
            if number in TAPS:
                found.append(x / (x.pow(2).sum(1, keepdim=True) + 1e-8).sqrt())
            if number == TAPS[-1]:
                break
        return found
