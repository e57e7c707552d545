"""The spectrum of clean faces: how much each frequency of the DCT varies from face to face. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import ASSETS
from odekit.errors import ConfigError

Array = NDArray[np.float64]
BUILT_IN = ASSETS / "face64" / "spectrum.json"


@dataclass(frozen=True)
class Spectrum:
    """Variances of the orthonormal DCT coefficients of faces in [-1, 1], over the number of pixels, at `radii`."""

    radii: tuple[float, ...]
    luma: tuple[float, ...]
    chroma: tuple[float, ...]
    """Of either chroma axis."""

    def variances(self, height: int, width: int) -> Array:
        """(3, H, W): of luma and the two chroma axes, at each frequency of pictures of this size."""
        here = np.log(np.maximum(radius(height, width), self.radii[0]))
        rows = [np.interp(here, np.log(self.radii), np.log(power)) for power in (self.luma, self.chroma, self.chroma)]
        found: Array = np.exp(np.stack(rows)) * height * width
        return found


def radius(height: int, width: int) -> Array:
    """(H, W): the frequency of each DCT coefficient, in half periods across the picture."""
    found: Array = np.hypot(*np.meshgrid(np.arange(height), np.arange(width), indexing="ij"))
    return found


def cosines(n: int) -> Array:
    """The orthonormal DCT-II as a matrix (n, n): rows are frequencies."""
    k, i = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    found: Array = np.sqrt(2 / n) * np.cos(np.pi * (i + 0.5) * k / n)
    found[0] /= np.sqrt(2)
    return found


@cache
def load_spectrum(path: Path | None = None) -> Spectrum:
    """The spectrum of a file; that of the built-in prior's training faces where None.

    Raises:
        ConfigError: no such file, or it is something else.
    """
    file = path or BUILT_IN
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        made = Spectrum(*(positive(data[key]) for key in ("radii", "luma", "chroma")))
        if not len(made.radii) == len(made.luma) == len(made.chroma) or sorted(made.radii) != list(made.radii):
            raise ValueError("radii rise, and each has a variance of luma and of chroma")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the spectrum {file} cannot be used: {error}; write one with 'odekit calibrate spectrum'"
        ) from error
    return made


def positive(values: Sequence[float]) -> tuple[float, ...]:
    """Finite numbers above 0. Raises ValueError where one is not."""
    found = tuple(float(value) for value in values)
    if not found or not all(np.isfinite(found)) or min(found) <= 0:
        raise ValueError("it holds numbers that are not above 0")
    return found
