"""Run the scratch network on whole photographs, in tiles, so that memory does not grow with the photograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from odekit.core.image import Pixels
from odekit.core.interfaces import Tools
from odekit.core.precision import precision
from odekit.parts.repair.tiles import apply_in_tiles
from odekit.plugins.weights.lookup import network_file, read_network_config

if TYPE_CHECKING:
    from torch import nn

TILE = 512
"""Side of the output tiles, in pixels."""
MARGIN = 64
"""Context around a tile that the network gets as input, in pixels."""
WEIGHTS = "model.safetensors"


class ScratchNetConfig(BaseModel):
    """Architecture of the network, as stored in `odekit.json` of its folder."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["mender"]
    widths: list[int] = Field(min_length=3, max_length=3)
    pairs: list[int] = Field(min_length=3, max_length=3)


class ScratchInpainter:
    """Predicts for every pixel the correction of its colour, and the logit that it is scratched."""

    def __init__(self, weights: str, tools: Tools) -> None:
        """Load the network onto the tools' device. It runs in float32.

        Raises:
            WeightsError: no such weights, or a folder that is not a scratch network's.
        """
        import torch

        from odekit.parts.repair.scratch_network import ScratchNet

        file = network_file(weights, tools)
        config = read_network_config(file, ScratchNetConfig, "a scratch network", "mender")
        width1, width2, width3 = config.widths
        pairs1, pairs2, pairs3 = config.pairs
        network = ScratchNet((width1, width2, width3), (pairs1, pairs2, pairs3))
        load_scratch_network(network, file)
        self.device = tools.device
        self.network = network.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def predict(self, pixels: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Predict the correction to add to a photograph (3, H, W), and the logit of "scratched" (H, W).

        Every tile gets the same margin, so that a prediction does not depend on the size of the photograph.
        """
        out = apply_in_tiles(self._tile, pixels, TILE, MARGIN, channels=4)
        return out[:3], out[3]

    def _tile(self, pixels: Pixels) -> NDArray[np.float32]:
        """The network's output for one tile; its sides are padded to multiples of 8 by mirroring."""
        import torch

        from odekit.parts.repair.scratch_network import SIDE_MULTIPLE

        height, width = pixels.shape[1:]
        padding = (-height % SIDE_MULTIPLE, -width % SIDE_MULTIPLE)
        padded = np.pad(pixels, ((0, 0), (0, padding[0]), (0, padding[1])), mode="symmetric")
        tensor = torch.from_numpy(padded)[None].to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), precision("float32", self.device):
            output: NDArray[np.float32] = self.network(tensor)[0].float().cpu().numpy()
        return output[:, :height, :width]


def load_scratch_network(network: nn.Module, file: Path) -> None:
    """Load the weights (float16 or float32) into a scratch network.

    Raises:
        WeightsError: the file is damaged, or is for another architecture.
    """
    from odekit.plugins.weights.fit import fit
    from odekit.plugins.weights.load import load_tensors

    fit(network, {name: tensor.float() for name, tensor in load_tensors(file).items()}, file)
