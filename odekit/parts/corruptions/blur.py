"""Blur by a fixed kernel: Gaussian blur, defocus and zoom (Hendrycks and Dietterich 2019)."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from odekit.parts.corruptions.primitives import Pixels, Unit, clipped_zoom, to_levels, to_unit


def smooth_gaussian(values: Unit, sigma: float) -> Unit:
    """Smooth values (H, W) or (H, W, C) over H and W; edge pixels are repeated, the kernel is truncated at 4 sigma."""
    from scipy import ndimage

    sigmas = (sigma, sigma) + (0,) * (values.ndim - 2)
    return np.asarray(ndimage.gaussian_filter(values, sigmas, mode="nearest", truncate=4.0))


def gaussian_blur(pixels: Pixels, rng: np.random.Generator, *, sigma: float) -> Pixels:
    """Convolve with a Gaussian of this standard deviation in pixels."""
    return to_levels(smooth_gaussian(to_unit(pixels), sigma), summed=True)


@functools.lru_cache(maxsize=32)
def disk_kernel(radius: float, alias: float) -> NDArray[np.float64]:
    """A disk kernel of this radius in pixels, smoothed by a small Gaussian of standard deviation `alias`.

    The Gaussian has 3 taps up to radius 8 and 5 beyond. The sum is 1, except if the disk fills its grid (radius 8 and
    10), where the smoothing mirrors its border: then it is about 1 % larger, as in the published code.
    """
    from scipy import ndimage

    reach = int(max(8, np.ceil(radius)))
    axis = np.arange(-reach, reach + 1)
    kernel = (axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2).astype(np.float64)
    kernel /= kernel.sum()
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    weights = np.exp(-(taps**2) / (2 * max(alias, 1e-3) ** 2))
    weights /= weights.sum()
    for side in (0, 1):
        kernel = ndimage.correlate1d(kernel, weights, axis=side, mode="mirror")
    return np.asarray(kernel)


def defocus_blur(pixels: Pixels, rng: np.random.Generator, *, radius: float, alias: float) -> Pixels:
    """Defocus: convolve with a disk; the picture is mirrored at its edges."""
    from scipy import fft

    kernel = disk_kernel(float(radius), float(alias))
    reach = kernel.shape[0] // 2
    padded = np.pad(to_unit(pixels), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    size = tuple(fft.next_fast_len(n, real=True) for n in padded.shape[:2])
    product = fft.rfft2(padded, size, axes=(0, 1)) * fft.rfft2(kernel, size)[..., None]
    full = fft.irfft2(product, size, axes=(0, 1))
    height, width = pixels.shape[:2]
    return to_levels(full[2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width], summed=True)


def zoom_blur(pixels: Pixels, rng: np.random.Generator, *, stop: float, step: float) -> Pixels:
    """The mean of the picture and of its enlargements about the centre, by factors 1, 1 + step, ... below `stop`."""
    values = to_unit(pixels)
    factors = np.arange(1, stop, step)
    total = values.copy()
    for factor in factors:
        total += clipped_zoom(values, float(factor))
    return to_levels(total / (len(factors) + 1), summed=True)
