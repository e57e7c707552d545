"""The aligner at work: from a rough box to the aligned face in two looks, and how face-like what is seen there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from odekit.core.files import read_json_object
from odekit.core.image import Pixels
from odekit.core.interfaces import Tools
from odekit.errors import WeightsError
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.warp import cut
from odekit.plugins.weights.lookup import network_file

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = "model.safetensors"
LOOKS = 2
SLOTS = 8
"""Crops in a network call, padded, so that a face does not depend on its neighbours."""
WANDER = 0.08
BOX = (0.5026, 0.5417, 0.669)
"""Where a frontal cascade's box lies in the aligned crop: middle (x, y) and width, medians over training faces."""


class Shape(BaseModel):
    """`odekit.json` of an aligner folder."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: str = Field(pattern="^aligner$")
    widths: list[int]
    dense: int = Field(ge=1)


class Aligner:
    """Regresses the similarity transform of a crop onto the template, again from where the first look led."""

    def __init__(self, weights: str, tools: Tools) -> None:
        """Load the network; it runs on the CPU in float32 (three milliseconds a crop).

        Raises:
            WeightsError: no such weights, or a folder that is no aligner's.
        """
        from odekit.parts.faces.aligner_network import AlignerNet

        file = network_file(weights, tools)
        try:
            shape = Shape.model_validate(read_json_object(file.parent / "odekit.json"))
        except ValidationError as error:
            raise WeightsError(
                f"{file.parent / 'odekit.json'}: describes no aligner; give a folder that 'odekit train aligner' wrote"
            ) from error
        self.network = AlignerNet(tuple(shape.widths), shape.dense)
        load(self.network, file)
        self.network.eval().requires_grad_(False)

    def refine(self, pixels: Pixels, frames: Sequence[Frame], looks: int = LOOKS) -> list[tuple[Frame, float]]:
        """Each rough frame of a photograph (3, H, W), refined, with the score in [0, 1] of the face seen in it."""
        from odekit.parts.faces.aligner_network import SIDE

        frames = list(frames)
        for _ in range(looks):
            said = self.look(np.stack([cut(pixels, frame, SIDE) for frame in frames])) if frames else []
            frames = [frame.then(inner) for frame, (inner, _) in zip(frames, said, strict=True)]
        final = self.look(np.stack([cut(pixels, frame, SIDE) for frame in frames])) if frames else []
        return [(frame, score * steady(inner)) for frame, (inner, score) in zip(frames, final, strict=True)]

    def look(self, crops: Pixels | np.ndarray[Any, Any]) -> list[tuple[Frame, float]]:
        """For crops (N, 3, 64, 64): the face's frame in fractions of the crop, and its score."""
        import torch

        said = []
        with torch.inference_mode():
            for start in range(0, len(crops), SLOTS):
                some = crops[start : start + SLOTS]
                padded = np.zeros((SLOTS, *some.shape[1:]), np.float32)
                padded[: len(some)] = some
                said.append(self.network(torch.from_numpy(padded)).double().numpy()[: len(some)])
        return [(inner_frame(row[:4]), float(1 / (1 + np.exp(-row[4])))) for row in np.concatenate(said)]


def inner_frame(numbers: Sequence[float]) -> Frame:
    """The network's a - 1, b, x, y (coordinates from -1 to 1) as a frame in fractions of the crop.

    With q and u in [-1, 1], u = M q + t is f' = M f + (1 + t - M (1, 1)) / 2 for fractions f = (q + 1) / 2.
    """
    a, b, x, y = (float(v) for v in numbers)
    a += 1
    return Frame(a, b, (1 + x - (a - b)) / 2, (1 + y - (a + b)) / 2)


def steady(inner: Frame) -> float:
    """1 where another look leaves the face in its place, towards 0 where its points wander: then there is none."""
    template = TEMPLATES["ffhq-5"]
    moved = float(np.hypot(*(inner.place(template) - template).T).mean())
    return float(np.exp(-((moved / WANDER) ** 2)))


def from_box(box: Sequence[float], shape: tuple[float, float, float] = BOX) -> Frame:
    """The upright frame that a detector's box suggests; `shape` says where such boxes lie in aligned crops."""
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0, 1e-3) / shape[2]
    return Frame.around(((x0 + x1) / 2 + (0.5 - shape[0]) * side, (y0 + y1) / 2 + (0.5 - shape[1]) * side), side)


def load(network: nn.Module, file: Path) -> None:
    """Fill an aligner's network from its weights file (float16 or float32).

    Raises:
        WeightsError: damaged, or of another shape.
    """
    from odekit.plugins.weights.load import load_tensors

    tensors = {name: tensor.float() for name, tensor in load_tensors(file).items()}
    missing, spare = network.load_state_dict(tensors, strict=False)
    if spare or [name for name in missing if not name.endswith("num_batches_tracked")]:
        raise WeightsError(f"{file}: holds another network than its odekit.json says; train or fetch it again")
