"""What upsamplers around a face network with a fixed side share: framing, batches, range, and the way back."""

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

LEAST = 16
"""Smallest side of an input in pixels: below, nothing of a face is left to restore."""


class AlignedUpsampler(ABC):
    """An aligned face of any size becomes one of `side` x `side`.

    The face is brought to the side bilinearly, as the official programs do (averaged where it shrinks). A picture that
    is not square is no aligned face: that is said once; it is mirrored at its edges to a square, restored, and cut out
    again, its longer side being `side` then.
    """

    def __init__(self, name: str, side: int, slots: int, spec: UpsamplerSpec, device: str) -> None:
        self.name = name
        self.side = side
        self.slots = slots
        self.spec = spec
        self.device = device
        self.told = False

    @abstractmethod
    def restore(self, faces: Tensor, count: int, noise: Sequence[Noise]) -> Tensor:
        """Faces (slots, 3, side, side) in [-1, 1], of which `count` are in use, to (count, 3, side, side), finite.

        `noise` has a stream for every slot.
        """

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One restored face per image, in order; alpha is resized by Lanczos.

        Raises:
            InputError: a picture smaller than 16 px.
        """
        import torch

        framed = [self._framed(image) for image in images]
        out: list[Image] = []
        for start in range(0, len(images), self.slots):
            # Always the same number of rows, so that no picture's bytes depend on how many there are.
            here, streams = framed[start : start + self.slots], list(rng[start : start + self.slots])
            faces = np.zeros((self.slots, 3, self.side, self.side), dtype=np.float32)
            faces[: len(here)] = np.stack(here)
            streams += [ZeroNoise()] * (self.slots - len(streams))
            restored = self.restore(torch.from_numpy(2 * faces - 1).to(self.device), len(here), streams)
            pixels = ((restored.float() + 1) / 2).clamp(0, 1).cpu().numpy()
            out += [self._finished(image, row) for image, row in zip(images[start:], pixels, strict=False)]
        return out

    def _framed(self, image: Image) -> Pixels:
        short, long = sorted((image.height, image.width))
        if short < LEAST:
            raise InputError(
                f"{image.width}x{image.height} px is too small for {self.name}; it needs {LEAST} px or more"
            )
        pixels = image.pixels
        if not is_square(image):
            if not self.told:
                warnings.warn(
                    f"{self.name} knows aligned square faces; {image.width}x{image.height} is none. Let the stage "
                    "'faces' find and align the faces of a photograph",
                    OdekitWarning,
                    stacklevel=3,
                )
            self.told = True
            spare = (long - image.height, long - image.width)
            pixels = np.pad(pixels, ((0, 0), *((s // 2, s - s // 2) for s in spare)), mode="symmetric")
        return np.stack([bilinear(plane, self.side) for plane in pixels])

    def _finished(self, image: Image, pixels: Pixels) -> Image:
        height, width = self.side, self.side
        if not is_square(image):
            long = max(image.height, image.width)
            height, width = (max(1, round(self.side * s / long)) for s in (image.height, image.width))
            top, left = (self.side - height) // 2, (self.side - width) // 2
            pixels = pixels[:, top : top + height, left : left + width]
        alpha = None if image.alpha is None else resample(image.alpha, height, width, "lanczos")
        return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha)


def bilinear(plane: Pixels, side: int) -> Pixels:
    """One float32 plane (H, W) at side x side: linear between pixel centres; the triangle's mean where it shrinks."""
    resized = PIL.Image.fromarray(np.ascontiguousarray(plane)).resize((side, side), PIL.Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32)
