"""The aligner: refines a rough frame to an aligned face in two iterations, and scores how face-like it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from odekit.core.image import Pixels
from odekit.core.interfaces import Tools
from odekit.errors import WeightsError
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.warp import crop_face
from odekit.plugins.weights.lookup import network_file, read_network_config

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = "model.safetensors"
ITERATIONS = 2
"""Number of refinement iterations."""
BATCH_SIZE = 8
"""Batch size of a network call. Batches are padded, so that a result does not depend on the other faces."""
STABILITY_SCALE = 0.08
"""Mean displacement of the landmarks, in fractions of the crop, at which `stability` is 1/e."""


@dataclass(frozen=True)
class Assessment:
    """What the aligner says about one frame."""

    refined: Frame
    """The frame after one iteration."""
    score: float
    """How face-like the frame as given is, 0 to 1: the network's probability times `stability`."""
    displacement: float
    """Mean distance of the refined landmarks from those of the frame as given, in fractions of the crop."""


class AlignerConfig(BaseModel):
    """Architecture of the network, as stored in `odekit.json` of an aligner folder."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: str = Field(pattern="^aligner$")
    widths: list[Annotated[int, Field(ge=1, le=1024)]] = Field(min_length=1, max_length=8)
    dense: int = Field(ge=1, le=8192)


class Aligner:
    """Regresses the similarity transform from a crop to the template, iteratively."""

    def __init__(self, weights: str, tools: Tools) -> None:
        """Load the network. It runs on the CPU in float32 (3 ms per crop).

        Raises:
            WeightsError: no such weights, or a folder that is not an aligner's.
        """
        from odekit.parts.faces.aligner_network import AlignerNet

        file = network_file(weights, tools)
        config = read_network_config(file, AlignerConfig, "an aligner", "aligner")
        self.network = AlignerNet(tuple(config.widths), config.dense)
        load_aligner(self.network, file)
        self.network.eval().requires_grad_(False)

    def refine(
        self, pixels: Pixels, frames: Sequence[Frame], iterations: int = ITERATIONS
    ) -> list[tuple[Frame, float]]:
        """Refine rough frames of a photograph (3, H, W).

        Args:
            pixels: the photograph.
            frames: rough frames of faces.
            iterations: number of iterations.

        Returns:
            For each frame, the refined frame and its score in [0, 1].
        """
        from odekit.parts.faces.aligner_network import SIDE

        frames = list(frames)
        for _ in range(iterations):
            predictions = self.predict(np.stack([crop_face(pixels, frame, SIDE) for frame in frames])) if frames else []
            frames = [frame.compose(inner) for frame, (inner, _) in zip(frames, predictions, strict=True)]
        predictions = self.predict(np.stack([crop_face(pixels, frame, SIDE) for frame in frames])) if frames else []
        return [(frame, score * stability(inner)) for frame, (inner, score) in zip(frames, predictions, strict=True)]

    def assess(self, pixels: Pixels, frames: Sequence[Frame]) -> list[Assessment]:
        """One iteration on accurate frames of a photograph (3, H, W), such as those of a detector with landmarks."""
        from odekit.parts.faces.aligner_network import SIDE

        if not frames:
            return []
        predictions = self.predict(np.stack([crop_face(pixels, frame, SIDE) for frame in frames]))
        return [
            Assessment(frame.compose(inner), score * stability(inner), displacement(inner))
            for frame, (inner, score) in zip(frames, predictions, strict=True)
        ]

    def predict(self, crops: Pixels | np.ndarray[Any, Any]) -> list[tuple[Frame, float]]:
        """Run the network on crops (N, 3, 64, 64).

        Returns:
            For each crop, the face's frame in fractions of the crop, and its score.
        """
        import torch

        outputs = []
        with torch.inference_mode():
            for start in range(0, len(crops), BATCH_SIZE):
                batch = crops[start : start + BATCH_SIZE]
                padded = np.zeros((BATCH_SIZE, *batch.shape[1:]), np.float32)
                padded[: len(batch)] = batch
                outputs.append(self.network(torch.from_numpy(padded)).double().numpy()[: len(batch)])
        return [(inner_frame(row[:4]), float(1 / (1 + np.exp(-row[4])))) for row in np.concatenate(outputs)]


def inner_frame(numbers: Sequence[float]) -> Frame:
    """Convert the network's output a - 1, b, x, y (coordinates from -1 to 1) to a frame in fractions of the crop.

    With q and u in [-1, 1], u = M q + t becomes f' = M f + (1 + t - M (1, 1)) / 2 for fractions f = (q + 1) / 2.
    """
    a, b, x, y = (float(v) for v in numbers)
    a += 1
    return Frame(a, b, (1 + x - (a - b)) / 2, (1 + y - (a + b)) / 2)


def stability(inner: Frame) -> float:
    """Stability of a refined frame: 1 if a further iteration does not move the landmarks, towards 0 if it does.

    Where there is no face, the iteration does not converge.
    """
    return float(np.exp(-((displacement(inner) / STABILITY_SCALE) ** 2)))


def displacement(inner: Frame) -> float:
    """Mean distance by which a frame, in fractions of the crop, moves the landmarks of the template."""
    template = TEMPLATES["ffhq-5"]
    return float(np.hypot(*(inner.place(template) - template).T).mean())


def frame_from_box(box: Sequence[float], shape: tuple[float, float, float]) -> Frame:
    """The upright frame of a detector's box.

    Args:
        box: x0, y0, x1, y1 in pixels.
        shape: position of such boxes in aligned crops: centre (x, y) and longer side, in fractions of the crop.
    """
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0, 1e-3) / shape[2]
    return Frame.from_centre(((x0 + x1) / 2 + (0.5 - shape[0]) * side, (y0 + y1) / 2 + (0.5 - shape[1]) * side), side)


def load_aligner(network: nn.Module, file: Path) -> None:
    """Load an aligner's weights (float16 or float32) into its network.

    Raises:
        WeightsError: the file is damaged, or is for another architecture.
    """
    from odekit.plugins.weights.load import load_tensors

    tensors = {name: tensor.float() for name, tensor in load_tensors(file).items()}
    try:
        missing, unexpected = network.load_state_dict(tensors, strict=False)
    except RuntimeError:  # tensors of another shape
        missing, unexpected = [], list(tensors)
    if unexpected or [name for name in missing if not name.endswith("num_batches_tracked")]:
        raise WeightsError(f"{file}: does not match the network in its odekit.json; train or fetch it again")
