"""DiffBIR as an upsampler: resize, stage 1, stage 2, colour correction, resize to the output size."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from odekit.errors import InputError, OdekitWarning
from odekit.plugins import Image, Noise, Tools, UpsamplerSpec, ZeroNoise, is_square, resample, weights_file
from odekit_diffbir.options import STAGE1_WEIGHTS, Diffbir
from odekit_diffbir.shapes import SHAPES
from odekit_diffbir.store import digest, prompt_folder

if TYPE_CHECKING:
    from torch import Tensor

MIN_SIDE = 16
"""Smallest side of an input in pixels."""


class DiffbirUpsampler:
    """See `odekit.plugins.Upsampler`. Each picture has its own noise stream."""

    def __init__(self, options: Diffbir, tools: Tools) -> None:
        """Locate all weights, then load the networks onto the tools' device, in their precision.

        Raises:
            WeightsError: weights are missing, damaged, or of another system.
        """
        from odekit_diffbir.stage1 import KINDS, SWINIR, Stage1

        self.options = options
        self.device = tools.device
        precision = tools.precision
        files = {name: weights_file(name, tools) for name in options.weight_names()}
        self.spec = UpsamplerSpec(scale=options.scale, aligned_faces_only=options.stage1 == "face")
        self.warned_not_aligned = False
        self.shape = SHAPES[options.size]
        stage1_file = files[options.stage1_weights or STAGE1_WEIGHTS[options.stage1]]
        kind = KINDS.get(options.stage1, SWINIR)
        self.stage1 = Stage1(kind, stage1_file, self.device, precision, options.stage1_tile)
        self.stage2 = None
        if options.stage2 != "none":
            from odekit_diffbir.network_files import NetworkFiles
            from odekit_diffbir.stage2 import Stage2

            base, text = files[options.base_name()], files[options.text_name()]
            text_digest = digest(options.text_name(), text, tools)
            network_files = NetworkFiles(
                files[options.control_name()], base, text, text_digest, prompt_folder(), self.shape
            )
            self.stage2 = Stage2(options, self.shape, network_files, self.device, precision)

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One result per picture, in order, with `scale` times the side; alpha is resized by Lanczos.

        Raises:
            InputError: a picture is smaller than 16 px, or its working size is larger than `max_megapixels`.
        """
        out: dict[int, Image] = {}
        indices_by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, image in enumerate(images):
            self._check(image)
            indices_by_size[image.height, image.width].append(i)
        for indices in indices_by_size.values():
            for begin in range(0, len(indices), self.options.batch):
                batch = indices[begin : begin + self.options.batch]
                pixels = self._restore([images[i] for i in batch], [rng[i] for i in batch])
                out.update({i: replace_pixels(images[i], p) for i, p in zip(batch, pixels, strict=True)})
        return [out[i] for i in range(len(images))]

    def output_size(self, image: Image) -> tuple[int, int]:
        """Height and width of the result."""
        return max(1, round(image.height * self.options.scale)), max(1, round(image.width * self.options.scale))

    def working_size(self, image: Image) -> tuple[int, int]:
        """Height and width inside DiffBIR: those of the result, with at least the short side of the networks."""
        height, width = self.output_size(image)
        if self.stage2 is None and self.options.stage1 in ("bsrnet", "scunet"):
            return height, width
        short = min(height, width)
        if short >= self.shape.side:
            return height, width
        return tuple(self.shape.side if s == short else int(s * (self.shape.side / short)) for s in (height, width))  # type: ignore[return-value]

    def _check(self, image: Image) -> None:
        size = f"{image.width}x{image.height}"
        if min(image.height, image.width) < MIN_SIDE:
            raise InputError(f"{size} px is too small for DiffBIR; it needs {MIN_SIDE} px or more")
        height, width = self.working_size(image)
        if height * width > self.options.max_megapixels * 1e6:
            raise InputError(
                f"{size} px becomes {width}x{height} inside DiffBIR, more than max_megapixels = "
                f"{self.options.max_megapixels:g}; use a smaller scale, or increase the limit"
            )
        if self.spec.aligned_faces_only and not is_square(image) and not self.warned_not_aligned:
            self.warned_not_aligned = True
            warnings.warn(
                f"DiffBIR's stage 1 'face' expects aligned square faces, not {size} px. Use the stage 'faces' to align "
                "faces, or 'stage1: general'",
                OdekitWarning,
                stacklevel=3,
            )

    def _restore(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[np.ndarray]:
        import torch

        from odekit_diffbir.colour import transfer_coarse_colours

        size, target = self.working_size(images[0]), self.output_size(images[0])
        padding = self.options.batch - len(images)
        # A constant batch size: results do not depend on the number of pictures.
        rows = np.stack([*(image.pixels for image in images), *[np.zeros_like(images[0].pixels)] * padding])
        noise = [*rng, *[ZeroNoise()] * padding]
        with torch.inference_mode():
            pictures = torch.from_numpy(rows).to(self.device)
            if self.options.stage1 == "bsrnet":
                smooth = resized(self.stage1(pictures), size)
            elif self.options.stage1 == "scunet":
                smooth = resized(self.stage1(resized(pictures, target)), size)
            else:
                smooth = self.stage1(resized(resized(pictures, target), size))
            out = smooth
            if self.stage2 is not None:
                out = self.stage2(smooth, noise)
                if self.options.colour == "wavelet":
                    out = transfer_coarse_colours(out, smooth)
            out = resized(out, target)[: len(images)].clamp(0, 1)
        return list(out.float().cpu().numpy())


def resized(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, 3, H, W): bicubic, with antialiasing, as in the official program; not clipped."""
    from torch.nn import functional

    if tuple(pictures.shape[-2:]) == size:
        return pictures
    return functional.interpolate(pictures, size=size, mode="bicubic", antialias=True)


def replace_pixels(image: Image, pixels: np.ndarray) -> Image:
    """The image with new pixels, and alpha resized to match."""
    alpha = None if image.alpha is None else resample(image.alpha, pixels.shape[1], pixels.shape[2], "lanczos")
    return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha)
