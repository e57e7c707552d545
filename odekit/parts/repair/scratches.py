"""The mender at work: a whole photograph through the network, in tiles, so that memory stays flat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from odekit.core.files import read_json_object
from odekit.core.image import Pixels
from odekit.core.interfaces import Tools
from odekit.core.precision import precision
from odekit.errors import WeightsError
from odekit.plugins.weights.lookup import network_file

if TYPE_CHECKING:
    from torch import nn

TILE = 512
"""Side of the tiles that are put together; what the network sees beyond them comes on top."""
MARGIN = 64
"""So far beyond its tile the network sees, in pixels."""
WEIGHTS = "model.safetensors"


class Shape(BaseModel):
    """`odekit.json` of a mender folder."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["mender"]
    widths: list[int] = Field(min_length=3, max_length=3)
    pairs: list[int] = Field(min_length=3, max_length=3)


class Mender:
    """Says of every pixel what to add to it, and how surely it is scratched."""

    def __init__(self, weights: str, tools: Tools) -> None:
        """Load the network onto the tools' device; it runs in float32.

        Raises:
            WeightsError: no such weights, or a folder that is no mender's.
        """
        import torch

        from odekit.parts.repair.scratch_network import MendNet

        file = network_file(weights, tools)
        try:
            shape = Shape.model_validate(read_json_object(file.parent / "odekit.json"))
        except ValidationError as error:
            raise WeightsError(
                f"{file.parent / 'odekit.json'}: describes no mender; give a folder that 'odekit train mender' wrote"
            ) from error
        one, two, three = shape.widths
        first, second, third = shape.pairs
        network = MendNet((one, two, three), (first, second, third))
        fill(network, file)
        self.device = tools.device
        self.network = network.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def look(self, pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What to add to a photograph (3, H, W), and (H, W) the logit of "scratched".

        A pixel's answer does not depend on how large the photograph is: each tile is seen with the same margin.
        """
        height, width = pixels.shape[1:]
        out = np.empty((4, height, width), np.float32)
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                y, x = max(0, top - MARGIN), max(0, left - MARGIN)
                said = self._tile(pixels[:, y : top + TILE + MARGIN, x : left + TILE + MARGIN])
                part = said[:, top - y : top - y + TILE, left - x : left - x + TILE]
                out[:, top : top + TILE, left : left + TILE] = part
        return out[:3], out[3]

    def _tile(self, pixels: Pixels) -> NDArray[np.float32]:
        """One tile, its sides made multiples of 8 by mirroring."""
        import torch

        from odekit.parts.repair.scratch_network import STRIDE

        height, width = pixels.shape[1:]
        spare = (-height % STRIDE, -width % STRIDE)
        padded = np.pad(pixels, ((0, 0), (0, spare[0]), (0, spare[1])), mode="symmetric")
        told = torch.from_numpy(padded)[None].to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), precision("float32", self.device):
            said: NDArray[np.float32] = self.network(told)[0].float().cpu().numpy()
        return said[:, :height, :width]


def fill(network: nn.Module, file: Path) -> None:
    """Fill a mender's network from its weights file (float16 or float32).

    Raises:
        WeightsError: damaged, or of another shape.
    """
    from odekit.plugins.weights.fit import fit
    from odekit.plugins.weights.load import load_tensors

    fit(network, {name: tensor.float() for name, tensor in load_tensors(file).items()}, file)
