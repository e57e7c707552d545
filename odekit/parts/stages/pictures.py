"""Pictures that `restore` reads and keeps beside its results: masks, latents, maps and originals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.core.image import Image, Metadata
from odekit.core.interfaces import StageContext
from odekit.errors import InputError
from odekit.images.io import read
from odekit.images.resize import area_resize_image
from odekit.parts.repair.scratch_masks import MaskFolder

if TYPE_CHECKING:
    from torch import Tensor


def latent_picture(image: Image, x: Tensor) -> Image:
    """A latent as a picture: 0 is mid grey, -3 and 3 (standard deviations of N(0, 1)) are black and white."""
    pixels = (0.5 + x.detach().cpu() / 6).clamp(0, 1).float().numpy()
    return replace(image, pixels=pixels, alpha=None, meta=Metadata(path=image.meta.path))


def map_picture(image: Image, values: Tensor) -> Image:
    """Values (3, H, W) in [0, 1] as a picture."""
    pixels = values.detach().cpu().clamp(0, 1).float().numpy()
    return replace(image, pixels=pixels, alpha=None, meta=Metadata(path=image.meta.path))


class KeepMasks:
    """Masks of what is kept: one picture for all faces, or a folder with one for each, named by its stem."""

    def __init__(self, path: str, height: int, width: int) -> None:
        """Find the files; masks are resized to height x width by the mean over the area.

        Raises:
            InputError: there is no such file or folder, or the folder has two masks of one stem.
        """
        self.files = MaskFolder(path, "restore.mask")
        self.size = height, width
        self.single = self._read(Path(path)) if self.files.single else None

    def of(self, images: Mapping[int, Image], context: StageContext) -> dict[int, NDArray[np.float64]]:
        """The mask (H, W) of each face that has one, 1 where it is kept. A mask that cannot be read is a failure."""
        out = {}
        for i, image in images.items():
            file = self.files.file_of(image)
            try:
                if self.single is not None:
                    out[i] = self.single
                elif file is not None:
                    out[i] = self._read(file)
            except InputError as error:
                context.fail(i, error)
        return out

    def _read(self, path: Path) -> NDArray[np.float64]:
        image = area_resize_image(read(path), *self.size)
        keep: NDArray[np.float64] = (image.pixels.mean(axis=0) > 0.5).astype(np.float64)
        return keep


def with_colours_of(original: Image, before: Image, after: Image) -> Image:
    """An original with the correction of its colours that was made at the prior's size: plus `up(after - before)`."""
    change = [
        np.asarray(PIL.Image.fromarray(plane).resize((original.width, original.height), PIL.Image.Resampling.BILINEAR))
        for plane in after.pixels - before.pixels
    ]
    return original.with_pixels(np.clip(original.pixels + np.stack(change), 0, 1).astype(np.float32))
