"""Recomputes the golden files of RRDBNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from goldens.cases import Case
from numpy.typing import NDArray
from odekit_realesrgan.network import from_tensors
from odekit_realesrgan.rrdb import layout

from odekit.testing.goldens import Golden, statistics


def rrdbnet_x4(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """A picture of 64 px, four times larger."""
    return rrdbnet(golden, inputs=3)


def rrdbnet_x2(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """A picture of 64 px, twice as large."""
    return rrdbnet(golden, inputs=12)


def rrdbnet(golden: Golden, inputs: int) -> Mapping[str, NDArray[Any]]:
    """The network that spandrel makes of the filled weights, on the stored input; nothing is clipped."""
    tensors = {name: torch.from_numpy(value) for name, value in golden.fill(layout(inputs)).items()}
    network = from_tensors(tensors, golden.stem).model.eval()
    with torch.inference_mode():
        out = network(torch.from_numpy(golden.input((1, 3, 64, 64)))).numpy()
    return {"output": out[..., ::4, ::4], "output_stats": statistics(out)}


GOLDENS = (
    Case("rrdbnet_x2", rrdbnet_x2, repository_tolerance=2e-5, long=("*.B.npz",)),
    Case("rrdbnet_x4", rrdbnet_x4, repository_tolerance=2e-5, long=("*.A.npz",)),
)
