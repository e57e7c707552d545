"""The built-in learned upsampler of aligned faces: 64 -> 256 px by a compact convolutional network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from odekit.core.image import Image, Pixels
from odekit.core.interfaces import Tools, UpsamplerSpec
from odekit.core.noise import Noise
from odekit.core.options import Options
from odekit.errors import InputError
from odekit.images.resize import resample
from odekit.plugins.weights.lookup import network_file, read_network_config

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"


class FaceX4(Options):
    """Options of the upsampler `face-x4`."""

    part = "face-x4"
    weights: str = Field(default="face-x4", min_length=1)
    """Name of registered weights, or (with a slash in it) a folder written by `odekit train upsampler`."""
    mirror: bool = True
    """Average with the result for the mirrored picture (self-ensemble): takes twice the time and gains about 0.1 dB,
    because faces are nearly symmetric."""
    batch: int | None = Field(default=None, ge=1, le=1024)
    """Batch size; smaller batches are padded, so that a result does not depend on the other pictures. None: 1 on a CPU,
    where larger batches gain nothing, else 8."""


class CompactConfig(BaseModel):
    """Architecture of the network, as stored in `odekit.json` of an upsampler folder."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["compact"]
    scale: int = Field(ge=1, le=16)
    features: int = Field(ge=1, le=4096)
    convs: int = Field(ge=0, le=1024)
    dtype: str | None = None
    """Data type of the stored weights; informative only."""


class FaceX4Upsampler:
    """Enlarges aligned faces (see `odekit.core.interfaces.Upsampler`).

    The network has convolutions only, so pictures may have any size.
    """

    def __init__(self, options: FaceX4, tools: Tools) -> None:
        """Load the network onto the tools' device, in their precision.

        Raises:
            WeightsError: no such weights, or a folder that is not an upsampler's.
        """
        import torch

        from odekit.parts.upsamplers.compact import Compact
        from odekit.plugins.weights.fit import fit
        from odekit.plugins.weights.load import load_tensors

        self.options = options
        device = tools.device
        self.dtype: torch.dtype = getattr(torch, tools.precision)
        file = network_file(self.options.weights, tools)
        config = read_config(file.parent)
        with torch.device("meta"):
            network = Compact(config.features, config.convs, config.scale)
        fit(network, {name: tensor.to(self.dtype, copy=True) for name, tensor in load_tensors(file).items()}, file)
        self.network = network.eval().requires_grad_(False).to(device)
        self.device = device
        self.batch_size = self.options.batch or (1 if device == "cpu" else 8)
        self.spec = UpsamplerSpec(scale=float(config.scale), aligned_faces_only=True)

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
            for start in range(0, len(members), self.batch_size):
                batch = members[start : start + self.batch_size]
                out.update(zip(batch, self._enlarge([images[i].pixels for i in batch]), strict=True))
        return [_finished(image, out[i]) for i, image in enumerate(images)]

    def _enlarge(self, pictures: Sequence[Pixels]) -> list[Pixels]:
        """One batch of pictures of one size, enlarged and clipped to [0, 1]."""
        import torch

        padded = np.zeros((self.batch_size, *pictures[0].shape), dtype=np.float32)
        padded[: len(pictures)] = np.stack(pictures)
        with torch.inference_mode():
            large = self._network(torch.from_numpy(padded).to(self.device)).cpu()
        if not bool(torch.isfinite(large[: len(pictures)]).all()):
            raise InputError("face-x4 returned NaN or infinite values; use --precision float32")
        return [row.clamp(0, 1).numpy() for row in large[: len(pictures)]]

    def _network(self, small: Tensor) -> Tensor:
        """float32 (N, 3, H, W) in [0, 1] to float32 (N, 3, scale H, scale W), not clipped.

        Only the residual is computed in the network's precision; the picture itself stays float32.
        """
        import torch

        cast = small.to(self.dtype).contiguous(memory_format=torch.channels_last)
        residual = self.network.detail(cast).float()
        if self.options.mirror:
            residual = (residual + self.network.detail(cast.flip(3)).float().flip(3)) / 2
        large: Tensor = self.network.base(small) + residual
        return large


def read_config(folder: Path) -> CompactConfig:
    """Read `odekit.json` of an upsampler folder. Raises WeightsError if there is none, or it is another network's."""
    return read_network_config(folder / WEIGHTS, CompactConfig, "an upsampler", "upsampler")


def _finished(image: Image, pixels: Pixels) -> Image:
    """The result for an image, with its alpha enlarged to the same size."""
    alpha = None if image.alpha is None else resample(image.alpha, pixels.shape[1], pixels.shape[2], "lanczos")
    return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha)
