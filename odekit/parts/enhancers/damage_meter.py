"""The damage meter: statistics of an inverted latent that indicate how its image is damaged.

The latent of a face that is likely under the prior is a draw of N(0, I): standard deviation 1, the same power in every
frequency band, no excess kurtosis. Blur lowers the power of the high bands, noise and scattered masks raise it, flat
masks and stripes give heavy tails, wrong colours shift the mean.
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
"""Radial octave bands of the DCT: 0-1/32, -1/16, -1/8, -1/4, -1/2, -1 of the highest frequency."""


def batch_damage_readings(clean: State, latent: State) -> list[dict[str, float]]:
    """The readings of each row.

    Args:
        clean: the images (N, 3, H, W) in model space.
        latent: their latents (N, 3, H, W), with an expected variance of 1.
    """
    pairs = zip(clean.detach().cpu().numpy(), latent.detach().cpu().numpy(), strict=True)
    return [damage_readings(np.asarray(x0, np.float64), np.asarray(x, np.float64)) for x0, x in pairs]


def damage_readings(clean: Array, latent: Array) -> dict[str, float]:
    """The readings of one image (3, H, W): natural logarithms of powers (expected: 0), means, tails."""
    luma, chroma = luma_and_chroma(latent)
    readings = {"std": log_power(latent.var()) / 2, "tail": log_kurtosis_ratio(latent), "distance": squared_w2(latent)}
    for name, plane in (("luma", luma), ("chroma", chroma)):
        for band, power in enumerate(band_powers(plane)):
            readings[f"{name} {band}"] = log_power(power)
    image_luma, image_chroma = luma_and_chroma(clean)
    for band, power in enumerate(band_powers(image_luma)[3:], 3):
        readings[f"picture {band}"] = log_power(power)
    readings["picture mean"] = float(image_luma.mean() / np.sqrt(3))
    readings["picture spread"] = log_power(image_luma.var())
    readings["picture colour"] = log_power(image_chroma.var())
    return readings


def luma_and_chroma(image: Array) -> tuple[Array, Array]:
    """Luma (1, H, W) and chroma (2, H, W): an orthonormal rotation of R, G, B, so that white noise stays white."""
    red, green, blue = image
    luma = (red + green + blue) / np.sqrt(3)
    return luma[None], np.stack([(red - blue) / np.sqrt(2), (red - 2 * green + blue) / np.sqrt(6)])


def band_powers(plane: Array) -> Sequence[float]:
    """Mean power of the orthonormal DCT coefficients of (C, H, W) in each radial band, without the mean."""
    from scipy.fft import dctn  # takes a third of a second, and is not needed before the first network call

    power = dctn(plane, axes=(1, 2), norm="ortho") ** 2
    _, height, width = plane.shape
    radius = np.hypot(*np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")) / np.sqrt(2)
    edges = 2.0 ** -np.arange(BANDS - 1, -1, -1.0)
    band = np.searchsorted(edges, radius, side="left")
    band[0, 0] = BANDS
    mean = power.mean(axis=0)
    return [float(mean[band == i].mean()) if (band == i).any() else 1.0 for i in range(BANDS)]


def log_power(power: float) -> float:
    """Natural logarithm of a power of at least 1e-8."""
    return float(np.log(max(float(power), 1e-8)))


def log_kurtosis_ratio(latent: Array) -> float:
    """Logarithm of kurtosis / 3: 0 for Gaussian values, positive for heavy tails."""
    centred = latent - latent.mean()
    return log_power(np.mean(centred**4) / max(float(np.mean(centred**2)) ** 2, 1e-16) / 3)


def squared_w2(latent: Array) -> float:
    """Squared Wasserstein-2 distance of the sorted values from as many quantiles of N(0, 1)."""
    from scipy.special import ndtri

    values = np.sort(latent, axis=None)
    quantiles = ndtri((np.arange(values.size) + 0.5) / values.size)
    return float(np.mean((values - quantiles) ** 2))
