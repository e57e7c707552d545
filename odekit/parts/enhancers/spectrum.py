"""The spectrum of clean faces: how much each frequency of the DCT varies from face to face. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import ASSETS
from odekit.errors import ConfigError
from odekit.images.colour import LUMA_CHROMA

Array = NDArray[np.float64]
BUILT_IN = ASSETS / "face64" / "spectrum.json"
RADII = tuple(round(0.5 * 2 ** (k / 2), 4) for k in range(15))
"""Where it is stored, in half periods across the picture: 0.5 (which stands for the mean value) to 64."""


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


def measured(pictures: NDArray[np.uint8]) -> Spectrum:
    """The spectrum of aligned faces uint8 (N, S, S, 3), N at least 2: means over rings half an octave wide."""
    from scipy.fft import dctn

    clean = pictures.astype(np.float64) / 127.5 - 1
    found = dctn(np.einsum("ij,nhwj->nihw", LUMA_CHROMA, clean), axes=(2, 3), norm="ortho")
    power = found.var(axis=0) / (clean.shape[1] * clean.shape[2])
    ring = np.log2(np.maximum(radius(*power.shape[1:]), RADII[0]) / RADII[0]) * 2
    rows = []
    for plane in (power[:1], power[1:]):
        near = [np.abs(ring - k) <= 0.5 for k in range(len(RADII))]
        means = [plane[:, here].mean() if here.any() else np.nan for here in near]
        known = np.isfinite(means)
        rows.append(np.interp(np.arange(len(means)), np.flatnonzero(known), np.maximum(np.array(means)[known], 1e-12)))
    return Spectrum(RADII, *(tuple(float(f"{value:.4g}") for value in row) for row in rows))


def save(spectrum: Spectrum, path: Path) -> None:
    """Write it as JSON."""
    path.write_text(json.dumps(asdict(spectrum), indent=1) + "\n", encoding="utf-8")


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
            f"the spectrum {file} cannot be used: {error}; write one with 'odekit bench enhancers --calibrate'"
        ) from error
    return made


def positive(values: Sequence[float]) -> tuple[float, ...]:
    """Finite numbers above 0. Raises ValueError where one is not."""
    found = tuple(float(value) for value in values)
    if not found or not all(np.isfinite(found)) or min(found) <= 0:
        raise ValueError("it holds numbers that are not above 0")
    return found
