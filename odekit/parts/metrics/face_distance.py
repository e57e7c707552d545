"""Identity preservation without a download: the distance of dlib's face descriptors."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import PIL.Image

from odekit.core.files import read_json_object
from odekit.core.image import Image, is_square
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.errors import InputError, WeightsError
from odekit.parts.metrics.base import CachedFeatures, Vector, weight_files

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from odekit.parts.metrics.descriptor_network import FaceDescriptor

CROP = (0.125, 0.2, 0.875, 0.95)
"""Left, top, right and bottom of the network's crop of an aligned face (FFHQ template), in fractions of the side."""


class FaceDistance(Options):
    """The metric `face-distance` has no options."""

    part = "face-distance"


class FaceDistanceMetric:
    """Euclidean distance of 128-d face descriptors (King 2017; see `odekit.parts.metrics.descriptor_network`).

    0 is the same image; below 0.45 it is the same person. Images are square faces aligned to the FFHQ template; sizes
    may differ. Below 32 px the descriptor does not tell people apart, so there is no value.
    """

    lower_is_better = True
    label: ClassVar[str] = "face distance"
    least_side: ClassVar[int] = 32

    def __init__(self, options: FaceDistance | None = None, tools: Tools | None = None) -> None:
        """Load the network.

        Raises:
            WeightsError: the weights are missing, or belong to another network.
        """
        import torch

        self.options = options or FaceDistance()
        (path,) = weight_files(tools, "face-distance", ["face-descriptor"])
        self.device = torch.device(tools.device if tools is not None else "cpu")
        stat = path.stat()
        version = stat.st_size, stat.st_mtime_ns
        self.network = load_descriptor(path, version, self.device)
        self.descriptors = descriptors(path, version, self.device)

    def measure(self, restored: Image, reference: Image) -> float:
        """The distance of one pair. Raises InputError for images that are not square or smaller than 32 px."""
        return self.measure_many([restored], [reference])[0]

    def between(self, before: Image, after: Image) -> float | None:
        """The distance between a face and its result, with four decimals; None where it means nothing.

        That is if one of them is not square, or smaller than 32 px, or if the face is so small in its photograph.
        """
        sides = (*before.pixels.shape[1:], *after.pixels.shape[1:], before.native or self.least_side)
        if min(sides) < self.least_side or not (is_square(before) and is_square(after)):
            return None
        return round(self.measure(after, before), 4)

    def measure_many(self, restored: Sequence[Image], reference: Sequence[Image]) -> list[float]:
        """The distances of pairs."""
        for image in (*restored, *reference):
            if not is_square(image) or min(image.height, image.width) < self.least_side:
                raise InputError(
                    f"face-distance needs a square face of 32 px or more, not {image.width}x{image.height}"
                )
        a, b = self.descriptors(restored), self.descriptors(reference)
        return [float(value) for value in np.linalg.norm(a.astype(np.float64) - b, axis=1)]


@functools.lru_cache(maxsize=2)
def load_descriptor(path: Path, version: tuple[int, int], device: torch.device) -> FaceDescriptor:
    """The network of a file, one for all metrics of a process: a chain measures a face in several places.

    Args:
        path: of the weights.
        version: size in bytes and time of the file, by which another file under the same path is noticed.
        device: of the network.

    Raises:
        WeightsError: the weights belong to another network.
    """
    from odekit.parts.metrics.descriptor_network import FaceDescriptor
    from odekit.plugins.weights.fit import fit

    network = FaceDescriptor()
    fit(network, read_weights(path), path)
    return network.eval().requires_grad_(False).to(device)


@functools.lru_cache(maxsize=2)
def descriptors(path: Path, version: tuple[int, int], device: torch.device) -> CachedFeatures:
    """The descriptors (N, 128) of faces. What one part of a chain has described, the others need not.

    Arguments and errors are those of `load_descriptor`.
    """
    import torch

    network = load_descriptor(path, version, device)

    def describe(images: Sequence[Image]) -> Vector:
        crops = torch.from_numpy(np.stack([crop(image) for image in images])).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            described: Vector = network(crops.to(device)).cpu().numpy()
        return described

    return CachedFeatures(describe)


def crop(image: Image) -> np.ndarray:
    """The network's crop of an aligned face, uint8 (150, 150, 3), bicubic."""
    from odekit.parts.metrics.descriptor_network import SIDE

    left, top, right, bottom = CROP
    box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
    picture = PIL.Image.fromarray(image.to_uint8())
    return np.asarray(picture.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC, box=box))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The network's tensors in float32; those stored as uint8 are `scale * value + minimum`.

    Raises:
        WeightsError: the file or the ranges beside it cannot be read.
    """
    from odekit.plugins.weights.load import load_tensors

    ranges = read_json_object(path.parent / "odekit.json").get("ranges")
    if not isinstance(ranges, dict):
        raise WeightsError(f"{path.parent / 'odekit.json'}: the ranges of the stored weights are missing")
    tensors = {name: tensor.float() for name, tensor in load_tensors(path, integers=True).items()}
    for name, (scale, minimum) in ranges.items():
        tensors[name] = tensors[name] * scale + minimum
    return tensors
