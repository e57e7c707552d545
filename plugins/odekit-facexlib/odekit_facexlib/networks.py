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
"""Anchors at each place of each level."""
BODY = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


class Body(nn.Module):
    """ResNet-50 up to its last convolution; gives the features at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        whole = resnet50(weights=None)
        for name in BODY:
            self.add_module(name, getattr(whole, name))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 512, H/8, W/8), (N, 1024, H/16, W/16), (N, 2048, H/32, W/32); sides are rounded up."""
        kept = []
        for name in BODY:
            x = getattr(self, name)(x)
            if name in BODY[-3:]:
                kept.append(x)
        return kept


class RetinaFace(nn.Module):
    """Deng et al. (CVPR 2020, arXiv:1905.00641) with a ResNet-50, from facexlib's own pyramid and heads."""

    def __init__(self) -> None:
        super().__init__()
        parts = module("detection/retinaface_net.py")
        self.body = Body()
        self.fpn = parts.FPN([2 * WIDTH, 4 * WIDTH, 8 * WIDTH], WIDTH)
        self.ssh1, self.ssh2, self.ssh3 = (parts.SSH(WIDTH, WIDTH) for _ in range(3))
        self.ClassHead = parts.make_class_head(fpn_num=3, inchannels=WIDTH, anchor_num=ANCHORS)
        self.BboxHead = parts.make_bbox_head(fpn_num=3, inchannels=WIDTH, anchor_num=ANCHORS)
        self.LandmarkHead = parts.make_landmark_head(fpn_num=3, inchannels=WIDTH, anchor_num=ANCHORS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From BGR pictures (N, 3, H, W) without their mean, levels 0..255, to what each of P anchors says.

        Returns:
            Offsets of boxes (N, P, 4), probabilities of no face and of a face (N, P, 2), offsets of the five points
            (N, P, 10); `odekit_facexlib.anchors` turns them into pixels.
        """
        levels = self.fpn(self.body(x))
        features = [ssh(level) for ssh, level in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]

        def told(heads: Any) -> Tensor:
            return torch.cat([head(feature) for head, feature in zip(heads, features, strict=True)], dim=1)

        return told(self.BboxHead), told(self.ClassHead).softmax(dim=-1), told(self.LandmarkHead)


def parsenet() -> nn.Module:
    """facexlib's ParseNet: RGB (N, 3, 512, 512) in [-1, 1] to class scores (N, 19, 512, 512) and a picture."""
    network: nn.Module = module("parsing/parsenet.py").ParseNet(in_size=512, out_size=512, parsing_ch=19)
    return network


def loaded(make: Callable[[], nn.Module], file: Path, device: str) -> nn.Module:
    """A network with the weights of a file, in float32, for inference.

    Raises:
        WeightsError: the file is missing, damaged, or another network's.
        PluginError: facexlib is not installed.
    """
    with torch.device("meta"):
        network = make()
    fit(network, load_tensors(file), file)
    return network.eval().requires_grad_(False).float().to(device)
