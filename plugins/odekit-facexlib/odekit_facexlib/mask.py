"""ParseNet as an odekit face mask: the pixels of an aligned face that are pasted into the photograph."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from odekit.plugins import Image, Pixels, Tools, precision
from odekit_facexlib.networks import load_network, parsenet
from odekit_facexlib.options import CLASSES, ParsenetMask

SIDE = 512
"""Side of the network's input in pixels."""
RADIUS_PER_SIGMA = 50 / 11
"""Radius of the softening kernel over its standard deviation: facexlib's 101 pixels at sigma 11."""


class ParsenetMasker:
    """Returns the soft mask of an aligned face (FFHQ template, any size); see `odekit.plugins.FaceMask`."""

    def __init__(self, options: ParsenetMask, tools: Tools) -> None:
        """Load the network onto the tools' device.

        Raises:
            WeightsError: the weights are missing (the message has the download command), or of another network.
            PluginError: facexlib is not installed.
        """
        self.options = options
        self.device = tools.device
        self.network = load_network(parsenet, Path(tools.weights(options.weights)), self.device)
        excluded = {"background", *self.options.drop}
        self.kept = torch.tensor([float(name not in excluded) for name in CLASSES])
        self.last: tuple[Pixels, NDArray[np.float32]] | None = None
        """Cache of the last face and its mask: pasting uses each mask more than once."""

    def __call__(self, face: Image) -> NDArray[np.float32]:
        """float32 (H, W) of the face's size in [0, 1]: 1 in the selected classes, with soft edges, 0 at the border."""
        if self.last is not None and self.last[0] is face.pixels:
            return self.last[1].copy()
        binary = self.kept[self.classes(face)][None, None]
        soft = blur_mask(binary, self.options.feather)
        if (face.height, face.width) != (SIDE, SIDE):
            soft = functional.interpolate(soft, [face.height, face.width], mode="bilinear", antialias=True)
        mask: NDArray[np.float32] = without_border(soft, self.options.border)[0, 0].clamp(0, 1).numpy()
        self.last = face.pixels, mask
        return mask.copy()

    def classes(self, face: Image) -> Tensor:
        """int64 (512, 512): the index in `CLASSES` of each pixel's most probable class."""
        x = torch.from_numpy(np.ascontiguousarray(face.pixels))[None]
        if x.shape[2:] != (SIDE, SIDE):
            x = functional.interpolate(x, [SIDE, SIDE], mode="bilinear", antialias=True).clamp(0, 1)
        with torch.inference_mode(), precision("float32", self.device):
            scores: Tensor = self.network(x.to(self.device) * 2 - 1)[0]
            return scores[0].argmax(dim=0).cpu()


def blur_mask(mask: Tensor, sigma: float) -> Tensor:
    """Blur a mask (1, 1, H, W) twice with a Gaussian, mirrored at the border; nearly one blur of sigma * sqrt(2)."""
    radius = round(RADIUS_PER_SIGMA * sigma)
    offset = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-(offset**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).float()
    for _ in range(2):
        padded = functional.pad(mask, [radius] * 4, mode="reflect")
        mask = functional.conv2d(functional.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return mask


def without_border(mask: Tensor, width: int) -> Tensor:
    """Set `width` pixels at each side to zero; `width` refers to a 512-pixel face and is rounded up at other sizes."""
    interior = torch.zeros_like(mask)
    top, left = (math.ceil(width * side / SIDE) for side in mask.shape[2:])
    interior[..., top : mask.shape[2] - top, left : mask.shape[3] - left] = 1
    return mask * interior
