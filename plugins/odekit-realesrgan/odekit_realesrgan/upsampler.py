"""Upsampling of pictures of any size in tiles."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.errors import InputError, OdekitWarning
from odekit.plugins import Guarded, Image, Noise, Tools, UpsamplerSpec, resample, weights_file
from odekit_realesrgan import rrdb
from odekit_realesrgan.memory import MemoryEstimate, bytes_per_pixel
from odekit_realesrgan.network import Descriptor, enlarge, load
from odekit_realesrgan.options import Realesrgan, Spandrel, Tiled
from odekit_realesrgan.tiled_picture import TiledPicture
from odekit_realesrgan.tiles import cover

if TYPE_CHECKING:
    from torch import Tensor

MIN_SIDE = 16
"""Smallest side of an input in pixels."""
UNCHECKED_PIXELS = 2**16
"""Up to this number of pixels per network call, memory is not checked."""


class TiledUpsampler:
    """See `odekit.plugins.Upsampler`. No noise is drawn."""

    def __init__(self, name: str, file: Path, only: str | None, options: Any, tools: Tools) -> None:
        """Load the network onto the tools' device, in their precision if the network supports it.

        Raises:
            WeightsError: the file does not contain weights of a supported network.
        """
        import torch

        self.name = name
        self.options: Tiled = options
        self.device = tools.device
        preloaded = [load(file, only)]

        def prepare_network(precision: str) -> Descriptor:
            descriptor = preloaded.pop() if preloaded else load(file, only)
            return descriptor.to(torch.device(self.device), getattr(torch, precision))

        flags = {"float16": preloaded[0].supports_half, "bfloat16": preloaded[0].supports_bfloat16}
        safe = [precision for precision, supported in flags.items() if supported]
        self.guarded = Guarded(name, prepare_network, tools.precision, safe)
        self.factor: int = self.guarded.network.scale
        self.scale: float = options.scale or self.factor
        self.batch_size = options.batch or (1 if self.device == "cpu" else 4)
        self.fold_multiple: int = self.guarded.network.size_requirements.multiple_of
        self.multiple = math.lcm(self.fold_multiple, 8)
        self.tile = self._tile() // self.multiple * self.multiple
        self.spec = UpsamplerSpec(scale=self.scale)

    def _tile(self) -> int:
        """The side of the tiles: 0 if the network does its own tiling. Warns if the network discourages tiles."""
        tiling = self.guarded.network.tiling.name
        if self.options.tile and tiling == "INTERNAL":
            return 0
        if self.options.tile and tiling == "DISCOURAGED":
            architecture = self.guarded.network.architecture.name
            warnings.warn(
                f"{architecture} uses the whole picture: seams between tiles may be visible; 'tile: 0' avoids them",
                OdekitWarning,
                stacklevel=2,
            )
        return self.options.tile

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One enlarged image per image, in order; alpha is enlarged by Lanczos.

        Raises:
            InputError: a picture is smaller than 16 px, or does not fit into memory.
        """
        tiled_pictures = [self._tiled_picture(image) for image in images]
        self._check_memory(images, tiled_pictures)
        jobs_by_size: dict[tuple[int, int], list[tuple[TiledPicture, tuple[int, int]]]] = defaultdict(list)
        for tiled_picture in tiled_pictures:
            jobs_by_size[tiled_picture.rows.side, tiled_picture.columns.side] += [
                (tiled_picture, tile) for tile in tiled_picture.tiles()
            ]
        for size, jobs in jobs_by_size.items():
            for start in range(0, len(jobs), self.batch_size):
                self._call(size, jobs[start : start + self.batch_size])
        return [
            self._finished(image, tiled_picture) for image, tiled_picture in zip(images, tiled_pictures, strict=True)
        ]

    def _tiled_picture(self, image: Image) -> TiledPicture:
        if min(image.height, image.width) < MIN_SIDE:
            raise InputError(
                f"{image.width}x{image.height} px is too small for {self.name}; it needs {MIN_SIDE} px or more"
            )
        padding = [
            -length % self.fold_multiple if self._is_tiled(length) else 0 for length in (image.height, image.width)
        ]
        pixels = np.pad(image.pixels, ((0, 0), (0, padding[0]), (0, padding[1])), mode="reflect")
        rows, columns = (
            cover(length, self.tile, self.options.overlap, self.multiple) if self._is_tiled(length) else cover(length)
            for length in pixels.shape[1:]
        )
        return TiledPicture(pixels, rows, columns, self.factor)

    def _is_tiled(self, length: int) -> bool:
        """Whether an axis is split into tiles; otherwise the network does the padding."""
        return 0 < self.tile < length

    @cached_property
    def _bytes_per_pixel(self) -> float:
        return bytes_per_pixel(self.guarded.network)

    def _check_memory(self, images: Sequence[Image], tiled_pictures: Sequence[TiledPicture]) -> None:
        scale = max(self.factor, self.scale)
        result = sum(image.height * image.width for image in images) * scale**2
        for image, tiled_picture in zip(images, tiled_pictures, strict=True):
            height, width = tiled_picture.rows.side, tiled_picture.columns.side
            if self.batch_size * height * width <= UNCHECKED_PIXELS and result <= UNCHECKED_PIXELS * scale**2:
                continue
            pictures = f"{image.width}x{image.height} px" if len(images) == 1 else f"{len(images)} pictures"
            MemoryEstimate(self.name, pictures, self.batch_size, height, width, result, self._bytes_per_pixel).check(
                self.device
            )

    def _call(self, size: tuple[int, int], jobs: Sequence[tuple[TiledPicture, tuple[int, int]]]) -> None:
        import torch

        # A constant batch size: results do not depend on the number of pictures.
        padded = np.zeros((self.batch_size, 3, *size), dtype=np.float32)
        padded[: len(jobs)] = np.stack([tiled_picture.cut(tile) for tiled_picture, tile in jobs])
        tiles = torch.from_numpy(padded)

        def call(network: Descriptor) -> Tensor:
            return enlarge(network, tiles)[: len(jobs)]

        try:
            output = self.guarded.run(call).cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"{self.name} ran out of memory on tiles of {size[1]}x{size[0]} px, batch size {self.batch_size}; "
                "set a smaller 'tile' or 'batch: 1'"
            ) from error
        for (tiled_picture, tile), row in zip(jobs, output, strict=True):
            tiled_picture.add_tile(tile, row)

    def _finished(self, image: Image, tiled_picture: TiledPicture) -> Image:
        height, width = (max(1, round(side * self.scale)) for side in (image.height, image.width))
        output = tiled_picture.out[:, : image.height * self.factor, : image.width * self.factor]
        if output.shape[1:] == (height, width):
            pixels = np.clip(output, 0, 1)
        else:
            pixels = np.stack([resample(plane, height, width, "lanczos") for plane in np.ascontiguousarray(output)])
        alpha = None if image.alpha is None else resample(image.alpha, height, width, "lanczos")
        return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha)


def realesrgan(options: Realesrgan, tools: Tools) -> TiledUpsampler:
    """The upsampler `realesrgan`: accepts only RRDBNet."""
    file = weights_file(options.weights, tools)
    return TiledUpsampler("Real-ESRGAN", file, rrdb.SYSTEM, options, tools)


def spandrel(options: Spandrel, tools: Tools) -> TiledUpsampler:
    """The upsampler `spandrel`: accepts any network that spandrel supports."""
    file = weights_file(options.weights, tools)
    return TiledUpsampler(f"the upsampler of {file.name}", file, None, options, tools)
