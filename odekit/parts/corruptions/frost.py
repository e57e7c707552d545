"""Frost on the glass: the published blend with a frost picture, either synthetic or from the user.

The origin of the photographs published with ImageNet-C is not stated, so none is shipped. The synthetic texture is
plasma (the haze) plus ridge noise (the needles): the zero lines of smooth random fields, stretched along a few
directions like ice crystals, each direction in its own region.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.errors import ConfigError, InputError
from odekit.images.formats.names import READABLE
from odekit.parts.corruptions.primitives import Pixels, plasma_crop, to_levels, to_unit

DIRECTIONS = 4
"""Number of directions of the needles in a picture."""


def frost(
    pixels: Pixels,
    rng: np.random.Generator,
    *,
    picture: float,
    frost: float,
    scale: float,
    folder: Path | str | None = None,
) -> Pixels:
    """The blend picture * x + frost * texture.

    Args:
        pixels: the picture.
        rng: draws the texture, or a picture of the folder and a part of it.
        picture: weight of the picture.
        frost: weight of the texture.
        scale: size of the crystals: 1 in the published 224-pixel table, 0.2 in the 64-pixel one.
        folder: the user's frost pictures, reduced by `scale`, instead of the synthetic texture.

    Raises:
        InputError: a picture of the folder cannot be read.
    """
    height, width = pixels.shape[:2]
    ice = (
        frost_texture(rng, height, width, scale)
        if folder is None
        else _from_folder(rng, Path(folder), height, width, scale)
    )
    return to_levels(picture * to_unit(pixels) + frost * ice)


def frost_texture(rng: np.random.Generator, height: int, width: int, scale: float) -> NDArray[np.float64]:
    """A synthetic frost picture (height, width, 3) in [0, 1]: bluish where thin, white where thick."""
    haze = plasma_crop(rng, height, width, 1.9)
    needles = np.zeros((height, width))
    first = rng.uniform(0, np.pi)
    for direction in range(DIRECTIONS):
        angle = first + direction * np.pi / DIRECTIONS + rng.normal(0, 0.12)
        region = _smooth(rng, height, width, angle, 22 * scale, 22 * scale)
        coarse = np.exp(-((_smooth(rng, height, width, angle, 45 * scale, 5 * scale) / 0.30) ** 2))
        fine = np.exp(-((_smooth(rng, height, width, angle, 20 * scale, 2.5 * scale) / 0.30) ** 2))
        needles = np.maximum(needles, (0.8 * coarse + 0.4 * fine) / (1 + np.exp(-2.5 * region)))
    thick = np.clip(rng.normal(0.35, 0.12) + 0.38 * haze + 0.42 * needles * (0.35 + 0.65 * haze), 0, 1)[..., None]
    return np.clip(thick * (np.array([0.86, 0.95, 1.0]) + 0.14 * thick), 0, 1)


def _from_folder(rng: np.random.Generator, folder: Path, height: int, width: int, scale: float) -> NDArray[np.float64]:
    """A random part (height, width, 3) in [0, 1] of a random picture of the folder, reduced by `scale` at most."""
    from PIL import Image

    from odekit.images.formats.decode import open_picture
    from odekit.images.formats.deep import Refusal

    names = _pictures(checked_folder(folder))
    path = names[int(rng.integers(len(names)))]
    try:
        with open_picture(path.read_bytes()) as opened:
            picture = opened.convert("RGB")
    except (Refusal, OSError, SyntaxError) as error:
        raise InputError(f"{path}: frost picture cannot be read ({error}); take it out of the folder") from error
    factor = max(scale, height / picture.height, width / picture.width)
    size = (max(width, round(picture.width * factor)), max(height, round(picture.height * factor)))
    resized = np.asarray(picture.resize(size, Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR))
    top = int(rng.integers(size[1] - height + 1))
    left = int(rng.integers(size[0] - width + 1))
    return to_unit(resized[top : top + height, left : left + width])


def checked_folder(folder: Path | str) -> Path:
    """The folder as a path. Raises ConfigError if it has no picture."""
    if not isinstance(folder, str | Path) or not _pictures(Path(folder)):
        raise ConfigError(f"{folder}: holds no frost picture; name a folder that does")
    return Path(folder)


def _pictures(folder: Path) -> tuple[Path, ...]:
    """The picture files of a folder, sorted by name."""
    return tuple(sorted(p for p in folder.iterdir() if p.suffix.lower() in READABLE)) if folder.is_dir() else ()


def _smooth(
    rng: np.random.Generator, height: int, width: int, angle: float, along: float, across: float
) -> NDArray[np.float64]:
    """Gaussian noise of unit variance, smoothed by `along` pixels in direction `angle` and by `across` perpendicular.

    Both are at least 0.7 pixels, below which a pixel grid shows no direction.
    """
    from scipy import fft

    fy = fft.fftfreq(height)[:, None]
    fx = fft.rfftfreq(width)[None, :]
    forward = fx * np.cos(angle) + fy * np.sin(angle)
    sideways = fy * np.cos(angle) - fx * np.sin(angle)
    along, across = max(along, 0.7), max(across, 0.7)
    response = np.exp(-2 * np.pi**2 * ((along * forward) ** 2 + (across * sideways) ** 2))
    spectrum = fft.rfft2(rng.standard_normal((height, width))) * response
    field = fft.irfft2(spectrum, (height, width))
    return np.asarray((field - field.mean()) / (field.std() or 1.0))
