"""Base class of upsamplers with a face network of fixed side: resizing, padding, batches, and value range."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from odekit.core.image import Image, Pixels, is_square
from odekit.core.interfaces import UpsamplerSpec
from odekit.core.noise import Noise, ZeroNoise
from odekit.errors import InputError, OdekitWarning
from odekit.images.resize import resample

if TYPE_CHECKING:
    from torch import Tensor

MIN_SIDE = 16
"""Smallest side of an input in pixels; a smaller picture has too little of a face."""


class AlignedUpsampler(ABC):
    """Restores aligned faces of any size at a fixed side. Subclasses implement `restore`.

    Faces are resized bilinearly, as in the official programs (with averaging when reduced). A picture that is not
    square is not an aligned face: it causes a warning, is padded to a square by mirroring, restored, and cropped, so
    that its longer side is that of the output.
    """

    def __init__(
        self, name: str, side: int, batch_size: int, spec: UpsamplerSpec, device: str, output_side: int | None = None
    ) -> None:
        """Store the configuration.

        Args:
            name: of the network, for messages.
            side: of the network's input, in pixels.
            batch_size: number of rows of a network call.
            spec: see `UpsamplerSpec`.
            device: of the network.
            output_side: side of the network's output; None: that of the input.
        """
        self.name = name
        self.side = side
        self.output_side = output_side or side
        self.batch_size = batch_size
        self.spec = spec
        self.device = device
        self._warned = False

    @abstractmethod
    def restore(self, faces: Tensor, count: int, noise: Sequence[Noise]) -> Tensor:
        """Run the network.

        Args:
            faces: (batch_size, 3, side, side) in [-1, 1]; rows from `count` on are padding.
            count: number of faces.
            noise: a stream for every row.

        Returns:
            (count, 3, output_side, output_side), finite.
        """

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One restored face per image, in order; alpha is resized by Lanczos.

        Raises:
            InputError: a picture is smaller than 16 px.
        """
        import torch

        framed = [self._framed(image) for image in images]
        out: list[Image] = []
        for start in range(0, len(images), self.batch_size):
            # The batch size is constant, so that a result does not depend on the number of pictures.
            batch, streams = framed[start : start + self.batch_size], list(rng[start : start + self.batch_size])
            faces = np.zeros((self.batch_size, 3, self.side, self.side), dtype=np.float32)
            faces[: len(batch)] = np.stack(batch)
            streams += [ZeroNoise()] * (self.batch_size - len(streams))
            restored = self.restore(torch.from_numpy(2 * faces - 1).to(self.device), len(batch), streams)
            pixels = ((restored.float() + 1) / 2).clamp(0, 1).cpu().numpy()
            out += [self._finished(image, row) for image, row in zip(images[start:], pixels, strict=False)]
        return out

    def _framed(self, image: Image) -> Pixels:
        """The input of the network: (3, side, side)."""
        short, long = sorted((image.height, image.width))
        if short < MIN_SIDE:
            raise InputError(
                f"{image.width}x{image.height} px is too small for {self.name}; it needs {MIN_SIDE} px or more"
            )
        pixels = image.pixels
        if not is_square(image):
            if not self._warned:
                warnings.warn(
                    f"{self.name} needs aligned square faces, not {image.width}x{image.height}. Use the stage 'faces' "
                    "to find and align the faces of a photograph",
                    OdekitWarning,
                    stacklevel=3,
                )
            self._warned = True
            padding = (long - image.height, long - image.width)
            pixels = np.pad(pixels, ((0, 0), *((p // 2, p - p // 2) for p in padding)), mode="symmetric")
        return np.stack([resize_plane(plane, self.side) for plane in pixels])

    def _finished(self, image: Image, pixels: Pixels) -> Image:
        """The result for an image: the network's output without the padding, and the resized alpha."""
        height, width = self.output_side, self.output_side
        if not is_square(image):
            long = max(image.height, image.width)
            height, width = (max(1, round(self.output_side * s / long)) for s in (image.height, image.width))
            top, left = (self.output_side - height) // 2, (self.output_side - width) // 2
            pixels = pixels[:, top : top + height, left : left + width]
        alpha = None if image.alpha is None else resample(image.alpha, height, width, "lanczos")
        return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha)


def resize_plane(plane: Pixels, side: int) -> Pixels:
    """Resize a float32 plane (H, W) to side x side: linear interpolation, with a triangle filter when reduced."""
    resized = PIL.Image.fromarray(np.ascontiguousarray(plane)).resize((side, side), PIL.Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32)
