"""The distance of face descriptors as a differentiable loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from odekit.parts.metrics.descriptor_network import SIDE
from odekit.parts.metrics.face_distance import CROP

EPSILON = 1e-6
"""Added to the squared distance, whose root has no derivative at 0."""


class DescriptorLoss(nn.Module):
    """Euclidean distance of the descriptors of aligned faces, as `face-distance` measures it but for 8-bit rounding."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, output: Tensor, truth: Tensor) -> Tensor:
        """Faces (n, 3, S, S) in [0, 1] to distances (n,); the truth gets no gradient."""
        with torch.no_grad():
            wanted = self.network(self._crop(truth))
        difference = self.network(self._crop(output)) - wanted
        distance: Tensor = (difference.pow(2).sum(1) + EPSILON).sqrt()
        return distance

    def _crop(self, faces: Tensor) -> Tensor:
        left, top, right, bottom = (round(v * faces.shape[-1]) for v in CROP)
        part = faces[..., top:bottom, left:right].clamp(0, 1)
        return 255 * functional.interpolate(
            part, size=(SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True
        )
