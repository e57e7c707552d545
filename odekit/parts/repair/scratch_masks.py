"""Masks that a person painted for the stage `mend`: white is filled, black stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import FILL, Image
from odekit.errors import InputError
from odekit.images import io
from odekit.images.colour import luma

Mask = NDArray[np.bool_]
"""(H, W)."""
WHITE = 0.5
"""Pixels of a mask that are at least this bright (times their alpha) are filled."""


class MaskFolder:
    """The masks of a run: one file for all photographs, or a folder with one for each, named by its stem."""

    def __init__(self, path: str, option: str = "mend.mask") -> None:
        """Find the files; `option` is named in errors.

        Raises:
            InputError: there is no such file or folder, or the folder has two masks of one stem.
        """
        self.path = Path(path)
        self.single = not self.path.is_dir()
        self.files: dict[str, Path] = {}
        if self.single:
            if not self.path.is_file():
                raise InputError(f"{option} {path}: no such file or folder; name a picture, or a folder of them")
            return
        for file in sorted(self.path.iterdir()):
            if file.suffix.lower() not in io.IMAGE_SUFFIXES:
                continue
            # The masks that a run wrote are NAME.scratches.png
            stem = file.stem.removesuffix(".scratches")
            if stem in self.files:
                raise InputError(f"{option} {path}: {self.files[stem].name} and {file.name} are for one photograph")
            self.files[stem] = file

    def file_of(self, image: Image) -> Path | None:
        """The file of a picture's mask; None if the folder has none for it."""
        return self.path if self.single else self.files.get(image.meta.path.stem if image.meta.path else "")

    def mask_of(self, image: Image) -> Mask | None:
        """The mask of a photograph, True where to fill; None if the folder has none for it.

        Raises:
            InputError: the mask cannot be read, or has another size than the photograph.
        """
        file = self.file_of(image)
        if file is None:
            return None
        mask = io.read(file)
        if mask.pixels.shape != image.pixels.shape:
            raise InputError(
                f"mend.mask {file}: {mask.width} x {mask.height} pixels, but the photograph has {image.width} x "
                f"{image.height}; paint the mask at the photograph's size"
            )
        value = luma(mask.pixels)
        white: Mask = (value if mask.alpha is None else value * mask.alpha) >= WHITE
        return white


def drawn_mask(image: Image) -> Mask | None:
    """The mask that travels with a photograph (`odekit.core.image.FILL`), True where to fill; None without one.

    Raises:
        InputError: the mask has another size than the photograph.
    """
    drawn = image.extra.get(FILL)
    if drawn is None:
        return None
    if drawn.shape != image.pixels.shape[1:]:
        raise InputError(
            f"the mask has {drawn.shape[1]} x {drawn.shape[0]} pixels, but the photograph {image.width} x "
            f"{image.height}; draw it at the photograph's size"
        )
    white: Mask = drawn >= WHITE
    return white


def mask_picture(mask: Mask) -> Image:
    """A mask as a grey picture, white where it is True."""
    plane = np.repeat(mask[None].astype(np.float32), 3, axis=0)
    picture = Image(plane)
    return picture
