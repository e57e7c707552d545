"""RetinaFace as an odekit face detector."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import nms

from odekit.plugins import Face, Image, Tools, precision
from odekit_facexlib import anchors
from odekit_facexlib.networks import RetinaFace, load_network
from odekit_facexlib.options import Retinaface

MEAN = (104.0, 117.0, 123.0)
"""Mean of blue, green and red in levels 0 to 255, subtracted as in the network's training."""


class RetinafaceDetector:
    """See `odekit.plugins.FaceDetector`.

    The network runs in float32, so that scores near the threshold do not depend on the precision.
    """

    def __init__(self, options: Retinaface, tools: Tools) -> None:
        """Load the network onto the tools' device.

        Raises:
            WeightsError: the weights are missing (the message has the download command), or of another network.
            PluginError: facexlib is not installed.
        """
        self.options = options
        self.device = tools.device
        self.network = load_network(RetinaFace, Path(tools.weights(options.weights)), self.device)

    def detect(self, image: Image) -> list[Face]:
        """All faces, highest score first. Boxes may extend beyond the photograph."""
        with torch.inference_mode(), precision("float32", self.device):
            x = network_input(image, self.options.megapixels).to(self.device)
            boxes, probabilities, points = (out[0].cpu() for out in self.network(x))
        anchor_boxes = anchors.anchors(x.shape[2], x.shape[3])
        return self.faces(boxes, probabilities, points, anchor_boxes, image.height, image.width)

    def faces(
        self,
        box_offsets: Tensor,
        probabilities: Tensor,
        point_offsets: Tensor,
        anchor_boxes: Tensor,
        height: int,
        width: int,
    ) -> list[Face]:
        """Faces of a height x width photograph from the outputs of `RetinaFace` without the batch axis."""
        above_threshold = probabilities[:, 1] > self.options.score
        score, anchor_boxes = probabilities[above_threshold, 1], anchor_boxes[above_threshold]
        size = torch.tensor([width, height], dtype=torch.float32)
        boxes = anchors.boxes(box_offsets[above_threshold], anchor_boxes) * size.repeat(2)
        points = anchors.points(point_offsets[above_threshold], anchor_boxes) * size
        return [
            Face(
                box=(x0, y0, x1, y1),
                points=tuple((float(x), float(y)) for x, y in points[i].tolist()),
                score=float(score[i]),
            )
            for i in nms(boxes, score, self.options.overlap).tolist()
            for x0, y0, x1, y1 in [boxes[i].tolist()]
        ]


def network_input(image: Image, megapixels: float) -> Tensor:
    """The network's input (1, 3, H, W): BGR levels minus `MEAN`, reduced to at most `megapixels`."""
    x = torch.from_numpy(np.ascontiguousarray(image.pixels))[None]
    scale = math.sqrt(megapixels * 1e6 / (image.height * image.width))
    if scale < 1:
        size = [max(1, round(image.height * scale)), max(1, round(image.width * scale))]
        x = functional.interpolate(x, size, mode="bilinear", antialias=True)
    return x.flip(1) * 255 - torch.tensor(MEAN)[:, None, None]
