"""Whether it is still the same person: the cosine of two faces as a recogniser sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import PIL.Image

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.core.precision import precision
from odekit.errors import InputError, WeightsError
from odekit.parts.metrics.base import Remembered, Vector, files, same_size

FFHQ = np.array([[0.3769, 0.4686], [0.6229, 0.4691], [0.5023, 0.7252]])
"""Eyes and middle of the mouth of an aligned face, as fractions of the side (the FFHQ template)."""
ARCFACE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.1396, 92.2848]])
"""The same points in the recogniser's 112 px."""


class Identity(Options):
    """The metric `identity` has no options."""

    part = "identity"


class IdentityMetric:
    """Cosine of the embeddings of IR-SE50, trained with ArcFace (Deng et al., arXiv:1801.07698).

    1 is the same, about 0 is another person. Pictures are square, aligned faces on the FFHQ template; the recogniser's
    112 px are cut from there. Faces of 64 px are less than it knows, so compare figures of one size alone.
    """

    lower_is_better = False
    label: ClassVar[str] = "identity"
    least_side: ClassVar[int] = 16

    def __init__(self, options: Identity | None = None, tools: Tools | None = None) -> None:
        """Raises WeightsError where the weights are absent or of another network."""
        import torch

        from odekit.parts.metrics.ir_se50 import IrSe50
        from odekit.plugins.weights.load import load_tensors

        self.options = options or Identity()
        (path,) = files(tools, "identity", ["arcface-ir-se50"])
        with torch.device("meta"):  # no random numbers for weights that are replaced
            network = IrSe50()
        try:
            network.load_state_dict(load_tensors(path), assign=True)
        except RuntimeError as error:
            raise WeightsError(f"{path} does not hold the weights of IR-SE50 ({str(error).splitlines()[0]})") from error
        self.device = tools.device if tools is not None else "cpu"
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.embedding = Remembered(self._embed)

    def measure(self, restored: Image, reference: Image) -> float:
        """The cosine of one pair. Raises InputError where sizes differ or pictures are not square."""
        return self.measure_many([restored], [reference])[0]

    def measure_many(self, restored: Sequence[Image], reference: Sequence[Image]) -> list[float]:
        """The cosines of pairs."""
        for one, other in zip(restored, reference, strict=True):
            same_size(one, other)
        a, b = self.embedding(restored), self.embedding(reference)
        return [float(value) for value in (a.astype(np.float64) * b).sum(1)]

    def _embed(self, images: Sequence[Image]) -> Vector:
        import torch

        faces = torch.from_numpy(np.stack([crop(image) for image in images])).to(self.device)
        with torch.inference_mode(), precision("float32", self.device):
            return np.asarray(self.network(2 * faces - 1).cpu().numpy())


def crop(image: Image, side: int = 112) -> Vector:
    """An aligned face (FFHQ template) as the recogniser's crop, float32 (3, 112, 112) in [0, 1].

    Raises:
        InputError: the picture is not square.
    """
    if image.height != image.width:
        raise InputError(f"{image.width}x{image.height} is no aligned square face")
    scale, offset = placement(image.height)
    box = (offset[0], offset[1], offset[0] + side * scale, offset[1] + side * scale)
    enlarge = PIL.Image.Resampling.BICUBIC if scale < 1 else PIL.Image.Resampling.BOX
    planes = [np.asarray(PIL.Image.fromarray(plane).resize((side, side), enlarge, box=box)) for plane in image.pixels]
    return np.asarray(np.clip(np.stack(planes), 0, 1), np.float32)


def placement(side: int) -> tuple[float, np.ndarray]:
    """Pixels of an aligned face of `side` for each of the crop's, and where the crop's corner lies.

    Least squares over the three points, without turning: both templates stand upright.
    """
    here, there = FFHQ * side, ARCFACE
    a, b = here - here.mean(0), there - there.mean(0)
    scale = float((a * b).sum() / (b * b).sum())
    return scale, here.mean(0) - scale * there.mean(0)
