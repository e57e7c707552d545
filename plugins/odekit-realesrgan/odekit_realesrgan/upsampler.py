"""Networks that enlarge pictures of any size, tile by tile."""

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
from odekit_realesrgan.canvas import Canvas
from odekit_realesrgan.memory import Demand, bytes_per_pixel
from odekit_realesrgan.network import Descriptor, enlarge, load
from odekit_realesrgan.options import Realesrgan, Spandrel, Tiled
from odekit_realesrgan.tiles import cover

if TYPE_CHECKING:
    from torch import Tensor

LEAST = 16
"""Smallest side of an input in pixels."""
UNWATCHED = 2**16
"""Pixels in a call that need no look at the memory."""


class TiledUpsampler:
    """See `odekit.plugins.Upsampler`. No noise is drawn."""

    def __init__(self, name: str, file: Path, only: str | None, options: Any, tools: Tools) -> None:
        """Load the network onto the tools' device, in their precision where it is safe in that.

        Raises:
            WeightsError: not the weights of such a network.
        """
        import torch

        self.name = name
        self.options: Tiled = options
        self.device = tools.device
        first = [load(file, only)]

        def ready(precision: str) -> Descriptor:
            descriptor = first.pop() if first else load(file, only)
            return descriptor.to(torch.device(self.device), getattr(torch, precision))

        flags = {"float16": first[0].supports_half, "bfloat16": first[0].supports_bfloat16}
        safe = [precision for precision, supported in flags.items() if supported]
        self.guarded = Guarded(name, ready, tools.precision, safe)
        self.factor: int = self.guarded.network.scale
        self.scale: float = options.scale or self.factor
        self.batch_size = options.batch or (1 if self.device == "cpu" else 4)
        self.fold: int = self.guarded.network.size_requirements.multiple_of
        self.multiple = math.lcm(self.fold, 8)
        self.tile = self._tile() // self.multiple * self.multiple
        self.spec = UpsamplerSpec(scale=self.scale)

    def _tile(self) -> int:
        """The tile that the network allows; what it does not like is said."""
        tiling = self.guarded.network.tiling.name
        if self.options.tile and tiling == "INTERNAL":
            return 0
        if self.options.tile and tiling == "DISCOURAGED":
            architecture = self.guarded.network.architecture.name
            warnings.warn(
                f"{architecture} looks at whole pictures: tiles may show; tile: 0 avoids them",
                OdekitWarning,
                stacklevel=2,
            )
        return self.options.tile

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One enlarged image per image, in order; alpha is enlarged by Lanczos.

        Raises:
            InputError: a picture smaller than 16 px, or one that memory cannot hold.
        """
        canvases = [self._canvas(image) for image in images]
        self._check_memory(images, canvases)
        waiting: dict[tuple[int, int], list[tuple[Canvas, tuple[int, int]]]] = defaultdict(list)
        for canvas in canvases:
            waiting[canvas.rows.side, canvas.columns.side] += [(canvas, tile) for tile in canvas.tiles()]
        for size, jobs in waiting.items():
            for start in range(0, len(jobs), self.batch_size):
                self._call(size, jobs[start : start + self.batch_size])
        return [self._finished(image, canvas) for image, canvas in zip(images, canvases, strict=True)]

    def _canvas(self, image: Image) -> Canvas:
        if min(image.height, image.width) < LEAST:
            raise InputError(
                f"{image.width}x{image.height} px is too small for {self.name}; it needs {LEAST} px or more"
            )
        spare = [-length % self.fold if self._cuts(length) else 0 for length in (image.height, image.width)]
        pixels = np.pad(image.pixels, ((0, 0), (0, spare[0]), (0, spare[1])), mode="reflect")
        rows, columns = (
            cover(length, self.tile, self.options.overlap, self.multiple) if self._cuts(length) else cover(length)
            for length in pixels.shape[1:]
        )
        return Canvas(pixels, rows, columns, self.factor)

    def _cuts(self, length: int) -> bool:
        """Whether an axis is cut; where not, the network pads for itself."""
        return 0 < self.tile < length

    @cached_property
    def _each(self) -> float:
        return bytes_per_pixel(self.guarded.network)

    def _check_memory(self, images: Sequence[Image], canvases: Sequence[Canvas]) -> None:
        side = max(self.factor, self.scale)
        result = sum(image.height * image.width for image in images) * side**2
        for image, canvas in zip(images, canvases, strict=True):
            height, width = canvas.rows.side, canvas.columns.side
            if self.batch_size * height * width <= UNWATCHED and result <= UNWATCHED * side**2:
                continue
            pictures = f"{image.width}x{image.height} px" if len(images) == 1 else f"{len(images)} pictures"
            Demand(self.name, pictures, self.batch_size, height, width, result, self._each).check(self.device)

    def _call(self, size: tuple[int, int], jobs: Sequence[tuple[Canvas, tuple[int, int]]]) -> None:
        import torch

        # Always the same number of rows, so that no picture's bytes depend on how many there are.
        padded = np.zeros((self.batch_size, 3, *size), dtype=np.float32)
        padded[: len(jobs)] = np.stack([canvas.cut(tile) for canvas, tile in jobs])
        given = torch.from_numpy(padded)

        def call(network: Descriptor) -> Tensor:
            return enlarge(network, given)[: len(jobs)]

        try:
            big = self.guarded.run(call).cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"{self.name} ran out of memory on tiles of {size[1]}x{size[0]} px, {self.batch_size} at a time; "
                "set a smaller 'tile' or 'batch: 1'"
            ) from error
        for (canvas, tile), row in zip(jobs, big, strict=True):
            canvas.paint(tile, row)

    def _finished(self, image: Image, canvas: Canvas) -> Image:
        height, width = (max(1, round(side * self.scale)) for side in (image.height, image.width))
        big = canvas.out[:, : image.height * self.factor, : image.width * self.factor]
        if big.shape[1:] == (height, width):
            pixels = np.clip(big, 0, 1)
        else:
            pixels = np.stack([resample(plane, height, width, "lanczos") for plane in np.ascontiguousarray(big)])
        alpha = None if image.alpha is None else resample(image.alpha, height, width, "lanczos")
        return replace(image, pixels=np.ascontiguousarray(pixels), alpha=alpha)


def realesrgan(options: Realesrgan, tools: Tools) -> TiledUpsampler:
    """The upsampler `realesrgan`: RRDBNet alone is accepted."""
    file = weights_file(options.weights, tools)
    return TiledUpsampler("Real-ESRGAN", file, rrdb.SYSTEM, options, tools)


def spandrel(options: Spandrel, tools: Tools) -> TiledUpsampler:
    """The upsampler `spandrel`: whatever network the file holds."""
    file = weights_file(options.weights, tools)
    return TiledUpsampler(f"the upsampler of {file.name}", file, None, options, tools)
