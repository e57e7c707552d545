"""The goldens of facexlib's networks: their outputs with synthetic weights, computed by this plugin's networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from goldens.cases import Case
from numpy.typing import NDArray
from odekit_facexlib import networks
from torch import Tensor, nn

from odekit.plugins.weights.fit import fit
from odekit.testing.goldens import Golden, statistics


def filled(make: Callable[[], nn.Module], golden: Golden) -> nn.Module:
    """A network with a golden's weights; tensors without a rule (counts of batches) are 0."""
    with torch.device("meta"):
        network = make()
    tensors: dict[str, Tensor] = {name: torch.zeros((), dtype=torch.int64) for name in network.state_dict()}
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    tensors |= {name: torch.from_numpy(value) for name, value in golden.fill(shapes).items()}
    fit(network, tensors, golden.stem)
    return network.eval()


def retinaface(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """Boxes, scores and landmarks of every anchor for a 256x320 input."""
    with torch.inference_mode():
        outputs = filled(networks.RetinaFace, golden)(torch.from_numpy(golden.input((1, 3, 256, 320))))
    return {name: out.numpy() for name, out in zip(("bbox", "conf_softmax", "landmarks"), outputs, strict=True)}


def parsenet(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """Class scores, every 16th pixel, and the picture, every 8th, of a 512x512 input."""
    with torch.inference_mode():
        mask, img = filled(networks.parsenet, golden)(torch.from_numpy(golden.input((1, 3, 512, 512))))
    return {
        "mask": mask[..., ::16, ::16].numpy(),
        "mask_stats": statistics(mask.numpy()),
        "img": img[..., ::8, ::8].numpy(),
        "img_stats": statistics(img.numpy()),
    }


GOLDENS = (
    Case("facexlib_retinaface_resnet50", retinaface, repository_tolerance=2e-5),
    Case("facexlib_parsenet", parsenet, repository_tolerance=2e-5, long=("*",)),
)
