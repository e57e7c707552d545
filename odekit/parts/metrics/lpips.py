"""LPIPS: perceptual distance in AlexNet's features, with weights fitted to human judgements of similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.core.precision import precision
from odekit.errors import WeightsError
from odekit.parts.metrics.base import load_frozen, same_size, unit_batch, weight_files

if TYPE_CHECKING:
    from torch import Tensor

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Normalisation of pictures in [-1, 1] for AlexNet."""
FEATURE_LAYERS = (1, 4, 7, 9, 11)
"""Indices of the five ReLUs in torchvision's `features`."""
WEIGHT_NAMES = ("alexnet", "lpips-alex")


class Lpips(Options):
    """The metric `lpips` has no options."""

    part = "lpips"


class LpipsMetric:
    """LPIPS of Zhang et al., arXiv:1801.03924, version 0.1 with AlexNet (torchvision's, trained on ImageNet).

    Features of five layers are normalised to length 1 at every position. Their squared differences are weighted by
    channel, averaged over positions, and summed over layers. 0 is equal. Pictures are not resized; they need 31 px or
    more.
    """

    lower_is_better = True
    label: ClassVar[str] = "LPIPS"
    least_side: ClassVar[int] = 31

    def __init__(self, options: Lpips | None = None, tools: Tools | None = None) -> None:
        """Load the network.

        Raises:
            WeightsError: the weights are missing, or belong to another network.
        """
        import torch
        from torchvision.models import alexnet

        from odekit.plugins.weights.load import load_tensors

        self.options = options or Lpips()
        backbone, linear = weight_files(tools, "lpips", WEIGHT_NAMES)
        with torch.device("meta"):  # skips the random initialisation of 61 million weights
            network: Any = alexnet(weights=None).features
        tensors = load_tensors(backbone)
        features = {name.removeprefix("features."): t for name, t in tensors.items() if name.startswith("features.")}
        stored = load_tensors(linear)
        message = f"{backbone} and {linear} are not AlexNet and LPIPS's weights for it"
        self.device = tools.device if tools is not None else "cpu"
        self.network: Any = load_frozen(network, features, self.device, message)
        try:
            self.weights = [stored[f"lin{i}.model.1.weight"].float() for i in range(len(FEATURE_LAYERS))]
        except KeyError as error:
            raise WeightsError(f"{message} (there is no tensor {error})") from error
        self.weights = [weight.to(self.device) for weight in self.weights]
        self.shift = torch.tensor(SHIFT, device=self.device).view(1, 3, 1, 1)
        self.scale = torch.tensor(SCALE, device=self.device).view(1, 3, 1, 1)

    def measure(self, restored: Image, reference: Image) -> float:
        """The distance of one pair. Raises InputError if the sizes differ."""
        return self.measure_many([restored], [reference])[0]

    def measure_many(self, restored: Sequence[Image], reference: Sequence[Image]) -> list[float]:
        """The distances of pairs, all of one size. Raises InputError if the sizes differ."""
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
        """Normalised features of the five layers."""
        x = (2 * unit_batch(images, self.device) - 1 - self.shift) / self.scale
        features = []
        for number, layer in enumerate(self.network):
            x = layer(x.clone() if number in FEATURE_LAYERS else x)  # torchvision's ReLUs work in place
            if number in FEATURE_LAYERS:
                features.append(x / (x.pow(2).sum(1, keepdim=True) + 1e-8).sqrt())
            if number == FEATURE_LAYERS[-1]:
                break
        return features
