"""The built-in learned upsampler of aligned faces: 64 -> 256 px by a compact convolutional network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from odekit.core.files import read_json_object
from odekit.core.image import Image, Pixels
from odekit.core.interfaces import Tools, UpsamplerSpec
from odekit.core.noise import Noise
from odekit.core.options import Options
from odekit.errors import InputError, WeightsError
from odekit.images.resize import resample
from odekit.plugins.weights.lookup import network_file

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"


class FaceX4(Options):
    """Options of the upsampler `face-x4`."""

    part = "face-x4"
    weights: str = Field(default="face-x4", min_length=1)
    """Name of registered weights; or, with a slash in it, a folder that `odekit train upsampler` wrote."""
    mirror: bool = True
    """Take the mean with what the network says of the mirrored picture: twice the time, and nearer to the truth (about
    0.1 dB), because faces have no handedness."""
    batch: int | None = Field(default=None, ge=1, le=1024)
    """Pictures in a network call, fewer are padded so that none depends on its neighbours. None: 1 on a CPU, where more
    gain nothing, else 8."""


class Shape(BaseModel):
    """`odekit.json` of an upsampler folder: the shape of its network."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["compact"]
    scale: int = Field(ge=1, le=16)
    features: int = Field(ge=1, le=4096)
    convs: int = Field(ge=0, le=1024)
    dtype: str | None = None
    """How the weights are stored; for readers only."""


class FaceX4Upsampler:
    """See `odekit.core.interfaces.Upsampler`. Only convolutions: any side, scaled by the factor of the network."""

    def __init__(self, options: FaceX4, tools: Tools) -> None:
        """Load the network onto the tools' device, in their precision.

        Raises:
            WeightsError: no such weights, or a folder that is no upsampler's.
        """
        import torch

        from odekit.parts.upsamplers.compact import Compact
        from odekit.plugins.weights.fit import fit
        from odekit.plugins.weights.load import load_tensors

        self.options = options
        device = tools.device
        self.dtype: torch.dtype = getattr(torch, tools.precision)
        file = network_file(self.options.weights, tools)
        shape = read_shape(file.parent)
        with torch.device("meta"):
            network = Compact(shape.features, shape.convs, shape.scale)
        fit(network, {name: tensor.to(self.dtype, copy=True) for name, tensor in load_tensors(file).items()}, file)
        self.network = network.eval().requires_grad_(False).to(device)
        self.device = device
        self.slots = self.options.batch or (1 if device == "cpu" else 8)
        self.spec = UpsamplerSpec(scale=float(shape.scale), aligned_faces_only=True)

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One enlarged image per image, in order; alpha is enlarged by Lanczos. No noise is drawn.

        Raises:
            InputError: half precision overflowed.
        """
        out: dict[int, Pixels] = {}
        sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, image in enumerate(images):
            sizes[image.height, image.width].append(i)
        for members in sizes.values():
            for start in range(0, len(members), self.slots):
                here = members[start : start + self.slots]
                out.update(zip(here, self._enlarge([images[i].pixels for i in here]), strict=True))
        return [_finished(image, out[i]) for i, image in enumerate(images)]

    def _enlarge(self, pictures: Sequence[Pixels]) -> list[Pixels]:
        import torch

        padded = np.zeros((self.slots, *pictures[0].shape), dtype=np.float32)
        padded[: len(pictures)] = np.stack(pictures)
        with torch.inference_mode():
            big = self._network(torch.from_numpy(padded).to(self.device)).cpu()
        if not bool(torch.isfinite(big[: len(pictures)]).all()):
            raise InputError("face-x4 gave values that are not finite; use --precision float32")
        return [row.clamp(0, 1).numpy() for row in big[: len(pictures)]]

    def _network(self, small: Tensor) -> Tensor:
        """float32 (N, 3, H, W) in [0, 1] to float32 (N, 3, scale H, scale W), not clipped.

        Only what the network adds is computed in its precision: the picture itself keeps its 24 bits.
        """
        import torch

        told = small.to(self.dtype).contiguous(memory_format=torch.channels_last)
        added = self.network.detail(told).float()
        if self.options.mirror:
            added = (added + self.network.detail(told.flip(3)).float().flip(3)) / 2
        big: Tensor = self.network.base(small) + added
        return big


def read_shape(folder: Path) -> Shape:
    """What `odekit.json` beside the weights says.

    Raises:
        WeightsError: there is none, or it describes no upsampler.
    """
    try:
        return Shape.model_validate(read_json_object(folder / "odekit.json"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise WeightsError(
            f"{folder / 'odekit.json'}: describes no upsampler of odekit ({where}: {first['msg']}); "
            "give a folder that 'odekit train upsampler' wrote"
        ) from error


def _finished(image: Image, pixels: Pixels) -> Image:
    alpha = None if image.alpha is None else resample(image.alpha, pixels.shape[1], pixels.shape[2], "lanczos")
    return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha)
