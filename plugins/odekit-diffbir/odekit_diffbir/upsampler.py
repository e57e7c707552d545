"""DiffBIR as an upsampler: bring to size, clean, draw anew, take the colours back, bring to the size asked for."""

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

LEAST = 16
"""Smallest side of an input in pixels."""


class DiffbirUpsampler:
    """See `odekit.plugins.Upsampler`. The noise of a picture comes from its own stream."""

    def __init__(self, options: Diffbir, tools: Tools) -> None:
        """Find all weights, then load the networks onto the tools' device, in their precision.

        Raises:
            WeightsError: weights that are not here, damaged, or another system's.
        """
        from odekit_diffbir.stage1 import KINDS, SWINIR, Cleaner

        self.options = options
        self.device = tools.device
        precision = tools.precision
        files = {name: weights_file(name, tools) for name in options.weight_names()}
        self.spec = UpsamplerSpec(scale=options.scale, aligned_faces_only=options.stage1 == "face")
        self.told = False
        self.shape = SHAPES[options.size]
        cleaner = files[options.stage1_weights or STAGE1_WEIGHTS[options.stage1]]
        kind = KINDS.get(options.stage1, SWINIR)
        self.clean = Cleaner(kind, cleaner, self.device, precision, options.stage1_tile)
        self.redraw = None
        if options.stage2 != "none":
            from odekit_diffbir.shelf import Shelf
            from odekit_diffbir.stage2 import Stage2

            base, text = files[options.base()], files[options.text()]
            known = digest(options.text(), text, tools)
            shelf = Shelf(files[options.control()], base, text, known, prompt_folder(), self.shape)
            self.redraw = Stage2(options, self.shape, shelf, self.device, precision)

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One picture per picture, in order, `scale` times the side; alpha is resized by Lanczos.

        Raises:
            InputError: a picture smaller than 16 px, or whose working size is over `max_megapixels`.
        """
        out: dict[int, Image] = {}
        sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, image in enumerate(images):
            self._check(image)
            sizes[image.height, image.width].append(i)
        for members in sizes.values():
            for begin in range(0, len(members), self.options.batch):
                here = members[begin : begin + self.options.batch]
                pixels = self._restored([images[i] for i in here], [rng[i] for i in here])
                out.update({i: finished(images[i], p) for i, p in zip(here, pixels, strict=True)})
        return [out[i] for i in range(len(images))]

    def target(self, image: Image) -> tuple[int, int]:
        """Height and width of the result."""
        return max(1, round(image.height * self.options.scale)), max(1, round(image.width * self.options.scale))

    def working(self, image: Image) -> tuple[int, int]:
        """Height and width inside: those of the result, the short side raised to that of the networks."""
        height, width = self.target(image)
        if self.redraw is None and self.options.stage1 in ("bsrnet", "scunet"):
            return height, width
        short = min(height, width)
        if short >= self.shape.side:
            return height, width
        return tuple(self.shape.side if s == short else int(s * (self.shape.side / short)) for s in (height, width))  # type: ignore[return-value]

    def _check(self, image: Image) -> None:
        size = f"{image.width}x{image.height}"
        if min(image.height, image.width) < LEAST:
            raise InputError(f"{size} px is too small for DiffBIR; it needs {LEAST} px or more")
        height, width = self.working(image)
        if height * width > self.options.max_megapixels * 1e6:
            raise InputError(
                f"{size} px becomes {width}x{height} inside DiffBIR, over max_megapixels = "
                f"{self.options.max_megapixels:g}; take a smaller scale, or raise the limit"
            )
        if self.spec.aligned_faces_only and not is_square(image) and not self.told:
            self.told = True
            warnings.warn(
                f"DiffBIR's stage 1 'face' knows aligned faces; {size} is none. Let the stage 'faces' align them, or "
                "take stage1: general",
                OdekitWarning,
                stacklevel=3,
            )

    def _restored(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[np.ndarray]:
        import torch

        from odekit_diffbir.colour import recoloured

        size, target = self.working(images[0]), self.target(images[0])
        spare = self.options.batch - len(images)
        # Always the same number of rows, so that no picture's bytes depend on how many there are.
        rows = np.stack([*(image.pixels for image in images), *[np.zeros_like(images[0].pixels)] * spare])
        noise = [*rng, *[ZeroNoise()] * spare]
        with torch.inference_mode():
            pictures = torch.from_numpy(rows).to(self.device)
            if self.options.stage1 == "bsrnet":
                cleaned = resized(self.clean(pictures), size)
            elif self.options.stage1 == "scunet":
                cleaned = resized(self.clean(resized(pictures, target)), size)
            else:
                cleaned = self.clean(resized(resized(pictures, target), size))
            out = cleaned
            if self.redraw is not None:
                out = self.redraw(cleaned, noise)
                if self.options.colour == "wavelet":
                    out = recoloured(out, cleaned)
            out = resized(out, target)[: len(images)].clamp(0, 1)
        return list(out.float().cpu().numpy())


def resized(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, 3, H, W) at another size: bicubic, averaged where it shrinks, as the official program does; not clipped."""
    from torch.nn import functional

    if tuple(pictures.shape[-2:]) == size:
        return pictures
    return functional.interpolate(pictures, size=size, mode="bicubic", antialias=True)


def finished(image: Image, pixels: np.ndarray) -> Image:
    """The picture with its new pixels, its alpha brought to their size."""
    alpha = None if image.alpha is None else resample(image.alpha, pixels.shape[1], pixels.shape[2], "lanczos")
    return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha)
