"""Identity preservation: cosine similarity of the embeddings of a face recognition network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import PIL.Image

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.core.precision import precision
from odekit.errors import InputError
from odekit.parts.metrics.base import CachedFeatures, Vector, load_frozen, same_size, weight_files

FFHQ_POINTS = np.array([[0.3769, 0.4686], [0.6229, 0.4691], [0.5023, 0.7252]])
"""Eyes and centre of the mouth of an aligned face, in fractions of the side (the FFHQ template)."""
ARCFACE_POINTS = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.1396, 92.2848]])
"""The same points in the network's 112 px crop."""


class Identity(Options):
    """The metric `identity` has no options."""

    part = "identity"


class IdentityMetric:
    """Cosine of the embeddings of IR-SE50, trained with ArcFace (Deng et al., arXiv:1801.07698).

    1 is the same picture, about 0 another person. Pictures are square faces aligned to the FFHQ template; the network's
    112 px crop is taken from there. The network was not trained on faces as small as 64 px, so compare only values of
    one picture size.
    """

    lower_is_better = False
    label: ClassVar[str] = "identity"
    least_side: ClassVar[int] = 16

    def __init__(self, options: Identity | None = None, tools: Tools | None = None) -> None:
        """Load the network.

        Raises:
            WeightsError: the weights are missing, or belong to another network.
        """
        import torch

        from odekit.parts.metrics.ir_se50 import IrSe50
        from odekit.plugins.weights.load import load_tensors

        self.options = options or Identity()
        (path,) = weight_files(tools, "identity", ["arcface-ir-se50"])
        with torch.device("meta"):  # skips the random initialisation of weights that are replaced
            network = IrSe50()
        self.device = tools.device if tools is not None else "cpu"
        message = f"{path} does not hold the weights of IR-SE50"
        self.network = load_frozen(network, load_tensors(path), self.device, message)
        self.embedding = CachedFeatures(self._embed)

    def measure(self, restored: Image, reference: Image) -> float:
        """The cosine of one pair. Raises InputError if the sizes differ or the pictures are not square."""
        return self.measure_many([restored], [reference])[0]

    def measure_many(self, restored: Sequence[Image], reference: Sequence[Image]) -> list[float]:
        """The cosines of pairs."""
        for one, other in zip(restored, reference, strict=True):
            same_size(one, other)
        a, b = self.embedding(restored), self.embedding(reference)
        return [float(value) for value in (a.astype(np.float64) * b).sum(1)]

    def _embed(self, images: Sequence[Image]) -> Vector:
        """Embeddings (N, 512) of length 1."""
        import torch

        faces = torch.from_numpy(np.stack([recognition_crop(image) for image in images])).to(self.device)
        with torch.inference_mode(), precision("float32", self.device):
            return np.asarray(self.network(2 * faces - 1).cpu().numpy())


def recognition_crop(image: Image, side: int = 112) -> Vector:
    """The network's crop of an aligned face (FFHQ template), float32 (3, 112, 112) in [0, 1].

    Raises:
        InputError: the picture is not square.
    """
    if image.height != image.width:
        raise InputError(f"{image.width}x{image.height} is not an aligned square face")
    scale, offset = crop_position(image.height)
    box = (offset[0], offset[1], offset[0] + side * scale, offset[1] + side * scale)
    resample = PIL.Image.Resampling.BICUBIC if scale < 1 else PIL.Image.Resampling.BOX
    planes = [np.asarray(PIL.Image.fromarray(plane).resize((side, side), resample, box=box)) for plane in image.pixels]
    return np.asarray(np.clip(np.stack(planes), 0, 1), np.float32)


def crop_position(side: int) -> tuple[float, np.ndarray]:
    """Position of the crop in an aligned face of `side` pixels: pixels per pixel of the crop, and its top left corner.

    Least squares over the three points, without rotation, because both templates are upright.
    """
    face_points, crop_points = FFHQ_POINTS * side, ARCFACE_POINTS
    a, b = face_points - face_points.mean(0), crop_points - crop_points.mean(0)
    scale = float((a * b).sum() / (b * b).sum())
    return scale, face_points.mean(0) - scale * crop_points.mean(0)
