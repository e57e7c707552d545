"""Recomputes the golden files of GFPGAN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from goldens.cases import Case
from numpy.typing import NDArray
from odekit_gfpgan.network import SIDE, build
from torch import Tensor

from odekit.plugins.weights.fit import fit
from odekit.testing.goldens import Golden, statistics


def gfpgan(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """One face restored with the stored noise, and the pictures that the network's U-Net makes on its way."""
    network: Any = build()
    weights = golden.fill({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    fit(network, {name: torch.from_numpy(value) for name, value in weights.items()}, golden.stem)
    network.eval()
    found: dict[str, NDArray[Any]] = {}

    def keep(name: str, picture: Tensor, step: int) -> None:
        found[name] = picture[..., ::step, ::step].numpy()
        found[f"{name}_stats"] = statistics(picture)

    face = torch.from_numpy(golden.input((1, 3, SIDE, SIDE)))
    with torch.inference_mode():
        output, pictures = network(face, randomize_noise=False)
        keep("output", output, 8)
        for i, picture in enumerate(pictures):
            keep(f"rgb{i}", picture, picture.shape[-1] // golden.arrays[f"rgb{i}"].shape[-1])
    return found


GOLDENS = (Case("gfpgan_v1clean_cm2", gfpgan, repository_tolerance=2e-5, long=("*",)),)
