"""A meter of damage: what an inverted latent says about the picture that it came from.

The latent of a face that the prior believes in is a draw of N(0, I): standard deviation 1, the same power in every band
of frequencies, no excess. Blur leaves the high bands empty, noise and scattered masks overfill them, flat masks and
stripes give heavy tails, wrong colours move the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.core.interfaces import State

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]
BANDS = 6
"""Radial bands of the DCT, by doubling: 0-1/32, -1/16, -1/8, -1/4, -1/2, -1 of the highest frequency."""


def read_latents(clean: State, latent: State) -> list[dict[str, float]]:
    """The readings of each row; both (N, 3, H, W), the latent with an expected variance of 1."""
    pairs = zip(clean.detach().cpu().numpy(), latent.detach().cpu().numpy(), strict=True)
    return [read_latent(np.asarray(x0, np.float64), np.asarray(x, np.float64)) for x0, x in pairs]


def read_latent(clean: Array, latent: Array) -> dict[str, float]:
    """The readings of one picture (3, H, W): natural logarithms of powers (0 is what is expected), means, tails."""
    luma, chroma = planes(latent)
    readings = {"std": log(latent.var()) / 2, "tail": tail(latent), "distance": distance(latent)}
    for name, plane in (("luma", luma), ("chroma", chroma)):
        for band, power in enumerate(spectrum(plane)):
            readings[f"{name} {band}"] = log(power)
    shade, tint = planes(clean)
    for band, power in enumerate(spectrum(shade)[3:], 3):
        readings[f"picture {band}"] = log(power)
    readings["picture mean"] = float(shade.mean() / np.sqrt(3))
    readings["picture spread"] = log(shade.var())
    readings["picture colour"] = log(tint.var())
    return readings


def planes(picture: Array) -> tuple[Array, Array]:
    """Luma (1, H, W) and chroma (2, H, W): an orthonormal turn of R, G, B, so that white noise stays white."""
    red, green, blue = picture
    luma = (red + green + blue) / np.sqrt(3)
    return luma[None], np.stack([(red - blue) / np.sqrt(2), (red - 2 * green + blue) / np.sqrt(6)])


def spectrum(plane: Array) -> Sequence[float]:
    """Mean power of the orthonormal DCT coefficients of (C, H, W) in each radial band, the mean value left out."""
    from scipy.fft import dctn  # its import takes a third of a second; the first network call comes before

    power = dctn(plane, axes=(1, 2), norm="ortho") ** 2
    _, height, width = plane.shape
    radius = np.hypot(*np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")) / np.sqrt(2)
    edges = 2.0 ** -np.arange(BANDS - 1, -1, -1.0)
    band = np.searchsorted(edges, radius, side="left")
    band[0, 0] = BANDS
    mean = power.mean(axis=0)
    return [float(mean[band == i].mean()) if (band == i).any() else 1.0 for i in range(BANDS)]


def log(power: float) -> float:
    """Logarithm of a power, with a floor where there is none."""
    return float(np.log(max(float(power), 1e-8)))


def tail(latent: Array) -> float:
    """Logarithm of the kurtosis over 3: 0 for Gaussian values, above for a few large ones."""
    centred = latent - latent.mean()
    return log(np.mean(centred**4) / max(float(np.mean(centred**2)) ** 2, 1e-16) / 3)


def distance(latent: Array) -> float:
    """Squared Wasserstein-2 distance of the sorted values from as many quantiles of N(0, 1)."""
    from scipy.special import ndtri

    values = np.sort(latent, axis=None)
    wanted = ndtri((np.arange(values.size) + 0.5) / values.size)
    return float(np.mean((values - wanted) ** 2))
