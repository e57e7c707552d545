"""Run the scratch network on whole photographs, in tiles, so that memory does not grow with the photograph."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from odekit.core.image import Pixels
from odekit.core.interfaces import Tools
from odekit.core.precision import precision
from odekit.images.resize import block_means, enlarge_blocks
from odekit.parts.repair.tiles import apply_in_tiles
from odekit.plugins.weights.lookup import network_file, read_network_config

if TYPE_CHECKING:
    from torch import nn

TILE = 512
"""Side of the output tiles, in pixels."""
MARGIN = 96
"""Context around a tile that the network gets as input, in pixels."""
WEIGHTS = "model.safetensors"
ORIENTATIONS = 8
"""Quarter turns of the picture and of its mirror image over which predictions are averaged."""


HALF_SHARE = np.float32(0.3)
"""Share of the logit that is that of the photograph at half its size."""


class ScratchNetConfig(BaseModel):
    """Architecture of the network, as stored in `odekit.json` of its folder."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["mender"]
    widths: list[Annotated[int, Field(ge=1, le=1024)]] = Field(min_length=2, max_length=6)
    pairs: list[Annotated[int, Field(ge=0, le=32)]] = Field(min_length=2, max_length=6)

    @model_validator(mode="after")
    def _same_length(self) -> ScratchNetConfig:
        if len(self.widths) != len(self.pairs):
            raise ValueError("widths and pairs have different lengths")
        return self


class ScratchDetector:
    """Detects scratched pixels."""

    def __init__(self, weights: str, tools: Tools) -> None:
        """Load the network onto the tools' device. It runs in float32.

        Raises:
            WeightsError: no such weights, or a folder that is not a scratch network's.
        """
        import torch

        from odekit.parts.repair.scratch_network import ScratchNet, side_multiple

        file = network_file(weights, tools)
        config = read_network_config(file, ScratchNetConfig, "a scratch network", "mender")
        network = ScratchNet(config.widths, config.pairs)
        self.multiple = side_multiple(len(config.widths))
        load_scratch_network(network, file)
        self.device = tools.device
        self.network = network.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def detect(self, pixels: Pixels, orientations: int = ORIENTATIONS) -> NDArray[np.float32]:
        """The logit of "scratched" (H, W) of a photograph (3, H, W).

        It is the mean over quarter turns and mirror images of each tile: with all eight, half as many pixels of
        undamaged photographs are taken for scratched as with one. A share of it is the logit of the photograph at half
        its size: what looks like a crack at one size only is more often content. Every tile gets the same margin, so
        that a prediction does not depend on the size of the photograph.

        Args:
            pixels: the photograph, or a copy of it.
            orientations: how many of the eight; the time is proportional to it.
        """
        mean_logit = partial(self._mean_logit, orientations=orientations)
        with precision("float32", self.device):  # once: it changes settings of the process, and tiles have threads
            full, half = (
                apply_in_tiles(mean_logit, picture, TILE, MARGIN, channels=1)
                for picture in (pixels, block_means(pixels, 2))
            )
        enlarged = enlarge_blocks(half, *pixels.shape[1:])
        logit: NDArray[np.float32] = (1 - HALF_SHARE) * full[0] + HALF_SHARE * enlarged[0]
        return logit

    def _mean_logit(self, pixels: Pixels, orientations: int) -> NDArray[np.float32]:
        """The mean logit (1, h, w) of a tile over the first orientations."""
        total = np.zeros(pixels.shape[1:], np.float32)
        for number in range(orientations):
            turns, mirrored = number % 4, number >= 4
            view = np.rot90(pixels[:, :, ::-1] if mirrored else pixels, turns, (1, 2))
            logit = np.rot90(self._run(np.ascontiguousarray(view)), -turns)
            total += logit[:, ::-1] if mirrored else logit
        return total[None] / np.float32(orientations)

    def _run(self, pixels: Pixels) -> NDArray[np.float32]:
        """The logit (h, w) of one tile; its sides are padded by mirroring."""
        import torch

        height, width = pixels.shape[1:]
        padding = (-height % self.multiple, -width % self.multiple)
        padded = np.pad(pixels, ((0, 0), (0, padding[0]), (0, padding[1])), mode="symmetric")
        tensor = torch.from_numpy(padded)[None].to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            output: NDArray[np.float32] = self.network(tensor)[0].float().cpu().numpy()
        return output[:height, :width]


def load_scratch_network(network: nn.Module, file: Path) -> None:
    """Load the weights (float16 or float32) into a scratch network.

    Raises:
        WeightsError: the file is damaged, or is for another architecture.
    """
    from odekit.plugins.weights.fit import fit
    from odekit.plugins.weights.load import load_tensors

    fit(network, {name: tensor.float() for name, tensor in load_tensors(file).items()}, file)
