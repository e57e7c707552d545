"""What this plugin computes for the golden files of RRDBNet (`odekit bench parity`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from odekit.testing.goldens import Golden, statistics
from odekit_realesrgan.network import from_tensors
from odekit_realesrgan.rrdb import layout


def rrdbnet_x4(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """A picture of 64 px, four times larger."""
    return rrdbnet(golden, inputs=3)


def rrdbnet_x2(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """A picture of 64 px, twice as large."""
    return rrdbnet(golden, inputs=12)


def rrdbnet(golden: Golden, inputs: int) -> Mapping[str, NDArray[Any]]:
    """The network that spandrel makes of the filled weights, on the stored input; nothing is clipped."""
    import torch

    tensors = {name: torch.from_numpy(value) for name, value in golden.fill(layout(inputs)).items()}
    network = from_tensors(tensors, golden.stem).model.eval()
    with torch.inference_mode():
        out = network(torch.from_numpy(golden.input((1, 3, 64, 64)))).numpy()
    return {"output": out[..., ::4, ::4], "output_stats": statistics(out)}
