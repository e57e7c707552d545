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
from odekit_facexlib.networks import RetinaFace, loaded
from odekit_facexlib.options import Retinaface

MEAN = (104.0, 117.0, 123.0)
"""Of blue, green and red in levels 0..255: what the network's training took off."""


class RetinafaceDetector:
    """See `odekit.plugins.FaceDetector`. The network runs in float32: a score near the threshold must not flip."""

    def __init__(self, options: Retinaface, tools: Tools) -> None:
        """Load the network onto the tools' device.

        Raises:
            WeightsError: the weights are not here (the message has the command that fetches them), or are others.
            PluginError: facexlib is not installed.
        """
        self.options = options
        self.device = tools.device
        self.network = loaded(RetinaFace, Path(tools.weights(options.weights)), self.device)

    def detect(self, image: Image) -> list[Face]:
        """All faces, best first; boxes may reach over the border of the photograph."""
        with torch.inference_mode(), precision("float32", self.device):
            x = prepared(image, self.options.megapixels).to(self.device)
            boxes, chance, points = (out[0].cpu() for out in self.network(x))
        about = anchors.anchors(x.shape[2], x.shape[3])
        return self.faces(boxes, chance, points, about, image.height, image.width)

    def faces(
        self, box_offsets: Tensor, chance: Tensor, point_offsets: Tensor, about: Tensor, height: int, width: int
    ) -> list[Face]:
        """What the anchors say (see `RetinaFace`, without the batch axis), as faces of a height x width photograph."""
        kept = chance[:, 1] > self.options.score
        score, about = chance[kept, 1], about[kept]
        size = torch.tensor([width, height], dtype=torch.float32)
        boxes = anchors.boxes(box_offsets[kept], about) * size.repeat(2)
        points = anchors.points(point_offsets[kept], about) * size
        return [
            Face(
                box=(x0, y0, x1, y1),
                points=tuple((float(x), float(y)) for x, y in points[i].tolist()),
                score=float(score[i]),
            )
            for i in nms(boxes, score, self.options.overlap).tolist()
            for x0, y0, x1, y1 in [boxes[i].tolist()]
        ]


def prepared(image: Image, megapixels: float) -> Tensor:
    """The network's input (1, 3, H, W): BGR levels without their mean, reduced to `megapixels` where larger."""
    x = torch.from_numpy(np.ascontiguousarray(image.pixels))[None]
    scale = math.sqrt(megapixels * 1e6 / (image.height * image.width))
    if scale < 1:
        size = [max(1, round(image.height * scale)), max(1, round(image.width * scale))]
        x = functional.interpolate(x, size, mode="bilinear", antialias=True)
    return x.flip(1) * 255 - torch.tensor(MEAN)[:, None, None]
