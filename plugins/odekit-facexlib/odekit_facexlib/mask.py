"""ParseNet as an odekit face mask: which pixels of an aligned face are put back into the photograph."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from odekit.plugins import Image, Pixels, Tools, precision
from odekit_facexlib.networks import loaded, parsenet
from odekit_facexlib.options import CLASSES, ParsenetMask

SIDE = 512
"""Pixels of the faces that the network was trained on."""
REACH = 50 / 11
"""Radius of the softening kernel over its standard deviation: facexlib's 101 pixels at sigma 11."""


class ParsenetMasker:
    """Call it with an aligned face (FFHQ template, any size) for its soft mask; see `odekit.plugins.FaceMask`."""

    def __init__(self, options: ParsenetMask, tools: Tools) -> None:
        """Load the network onto the tools' device.

        Raises:
            WeightsError: the weights are not here (the message has the command that fetches them), or are others.
            PluginError: facexlib is not installed.
        """
        self.options = options
        self.device = tools.device
        self.network = loaded(parsenet, Path(tools.weights(options.weights)), self.device)
        dropped = {"background", *self.options.drop}
        self.kept = torch.tensor([float(name not in dropped) for name in CLASSES])
        self.last: tuple[Pixels, NDArray[np.float32]] | None = None
        """The face of the last call and its mask: pasting asks for each mask more than once."""

    def __call__(self, face: Image) -> NDArray[np.float32]:
        """float32 (H, W) of the face's size in [0, 1]: 1 in the kept classes, soft at their edge, 0 at the border."""
        if self.last is not None and self.last[0] is face.pixels:
            return self.last[1].copy()
        hard = self.kept[self.classes(face)][None, None]
        soft = softened(hard, self.options.feather)
        if (face.height, face.width) != (SIDE, SIDE):
            soft = functional.interpolate(soft, [face.height, face.width], mode="bilinear", antialias=True)
        mask: NDArray[np.float32] = without_border(soft, self.options.border)[0, 0].clamp(0, 1).numpy()
        self.last = face.pixels, mask
        return mask.copy()

    def classes(self, face: Image) -> Tensor:
        """int64 (512, 512): the number in `CLASSES` of each pixel's likeliest class."""
        x = torch.from_numpy(np.ascontiguousarray(face.pixels))[None]
        if x.shape[2:] != (SIDE, SIDE):
            x = functional.interpolate(x, [SIDE, SIDE], mode="bilinear", antialias=True).clamp(0, 1)
        with torch.inference_mode(), precision("float32", self.device):
            scores: Tensor = self.network(x.to(self.device) * 2 - 1)[0]
            return scores[0].argmax(dim=0).cpu()


def softened(mask: Tensor, sigma: float) -> Tensor:
    """A mask (1, 1, H, W) after two Gaussian blurs, mirrored at the border; two are one of sigma * sqrt(2), nearly."""
    reach = round(REACH * sigma)
    offset = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-(offset**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).float()
    for _ in range(2):
        padded = functional.pad(mask, [reach] * 4, mode="reflect")
        mask = functional.conv2d(functional.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return mask


def without_border(mask: Tensor, width: int) -> Tensor:
    """The mask with zeros at each side: `width` pixels of a 512-pixel face, rounded up at other sizes."""
    inside = torch.zeros_like(mask)
    top, left = (math.ceil(width * side / SIDE) for side in mask.shape[2:])
    inside[..., top : mask.shape[2] - top, left : mask.shape[3] - left] = 1
    return mask * inside
