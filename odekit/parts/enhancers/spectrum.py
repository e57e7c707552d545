"""The spectrum of clean faces: the variance of each DCT frequency over faces. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import ASSETS, calibration_errors, read_text

Array = NDArray[np.float64]
BUILT_IN = ASSETS / "face64" / "spectrum.json"


@dataclass(frozen=True)
class Spectrum:
    """Variances of orthonormal DCT coefficients of faces in [-1, 1], divided by the number of pixels, at `radii`."""

    radii: tuple[float, ...]
    luma: tuple[float, ...]
    chroma: tuple[float, ...]
    """Of each chroma axis."""

    def variances(self, height: int, width: int) -> Array:
        """(3, H, W): variances of luma and the two chroma axes at each DCT coefficient of images of this size."""
        log_radius = np.log(np.maximum(dct_radius(height, width), self.radii[0]))
        tables = (self.luma, self.chroma, self.chroma)
        planes = [np.interp(log_radius, np.log(self.radii), np.log(power)) for power in tables]
        variances: Array = np.exp(np.stack(planes)) * height * width
        return variances


def dct_radius(height: int, width: int) -> Array:
    """(H, W): the frequency of each DCT coefficient, in half periods across the image."""
    frequencies: Array = np.hypot(*np.meshgrid(np.arange(height), np.arange(width), indexing="ij"))
    return frequencies


@cache
def load_spectrum(path: Path | None = None) -> Spectrum:
    """The spectrum in a file; that of the built-in prior's training faces if None.

    Raises:
        ConfigError: the file does not exist, or is not a spectrum.
    """
    file = path or BUILT_IN
    with calibration_errors("the spectrum", file, "spectrum"):
        data = json.loads(read_text(file))
        spectrum = Spectrum(*(positive(data[key]) for key in ("radii", "luma", "chroma")))
        if not len(spectrum.radii) == len(spectrum.luma) == len(spectrum.chroma) or sorted(spectrum.radii) != list(
            spectrum.radii
        ):
            raise ValueError("radii must increase, and luma and chroma need one variance per radius")
        return spectrum


def positive(values: Sequence[float]) -> tuple[float, ...]:
    """The values as floats. Raises ValueError unless all are finite and above 0."""
    numbers = tuple(float(value) for value in values)
    if not numbers or not all(np.isfinite(numbers)) or min(numbers) <= 0:
        raise ValueError("all numbers must be finite and above 0")
    return numbers
