"""The two networks, with the tensor names of the published files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet50

from odekit.plugins import fit, load_tensors
from odekit_facexlib.library import module

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 256
"""Channels of the feature pyramid."""
ANCHORS = 2
"""Anchors per cell of each level."""
BODY = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


class Body(nn.Module):
    """ResNet-50 up to its last convolution; returns the features at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        resnet = resnet50(weights=None)
        for name in BODY:
            self.add_module(name, getattr(resnet, name))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 512, H/8, W/8), (N, 1024, H/16, W/16), (N, 2048, H/32, W/32); with sides rounded up."""
        features = []
        for name in BODY:
            x = getattr(self, name)(x)
            if name in BODY[-3:]:
                features.append(x)
        return features


class RetinaFace(nn.Module):
    """Deng et al. (CVPR 2020, arXiv:1905.00641) with a ResNet-50, and facexlib's feature pyramid and heads."""

    def __init__(self) -> None:
        super().__init__()
        facexlib_networks = module("detection/retinaface_net.py")
        self.body = Body()
        self.fpn = facexlib_networks.FPN([2 * WIDTH, 4 * WIDTH, 8 * WIDTH], WIDTH)
        self.ssh1, self.ssh2, self.ssh3 = (facexlib_networks.SSH(WIDTH, WIDTH) for _ in range(3))
        self.ClassHead = facexlib_networks.make_class_head(fpn_num=3, inchannels=WIDTH, anchor_num=ANCHORS)
        self.BboxHead = facexlib_networks.make_bbox_head(fpn_num=3, inchannels=WIDTH, anchor_num=ANCHORS)
        self.LandmarkHead = facexlib_networks.make_landmark_head(fpn_num=3, inchannels=WIDTH, anchor_num=ANCHORS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict boxes, scores and points for P anchors from BGR pictures (N, 3, H, W), levels minus the mean.

        Returns:
            Offsets of boxes (N, P, 4), probabilities of no face and of a face (N, P, 2), offsets of the five points
            (N, P, 10); `odekit_facexlib.anchors` converts the offsets.
        """
        levels = self.fpn(self.body(x))
        contexts = [ssh(level) for ssh, level in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]

        def apply_heads(heads: Any) -> Tensor:
            return torch.cat([head(feature) for head, feature in zip(heads, contexts, strict=True)], dim=1)

        return apply_heads(self.BboxHead), apply_heads(self.ClassHead).softmax(dim=-1), apply_heads(self.LandmarkHead)


def parsenet() -> nn.Module:
    """facexlib's ParseNet: RGB (N, 3, 512, 512) in [-1, 1] -> class scores (N, 19, 512, 512) and a picture."""
    network: nn.Module = module("parsing/parsenet.py").ParseNet(in_size=512, out_size=512, parsing_ch=19)
    return network


def load_network(make: Callable[[], nn.Module], file: Path, device: str) -> nn.Module:
    """Load a network from a weights file, in float32, for inference.

    Raises:
        WeightsError: the file is missing, damaged, or of another network.
        PluginError: facexlib is not installed.
    """
    with torch.device("meta"):
        network = make()
    fit(network, load_tensors(file), file)
    return network.eval().requires_grad_(False).float().to(device)
