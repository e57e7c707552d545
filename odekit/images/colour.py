"""Colour spaces of images: luma, chroma axes, linear light and CIE Lab."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.errors import PluginError

LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])
"""Weights of R, G and B in the luma (ITU-R BT.601)."""
LUMA_CHROMA_AXES = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
"""An orthonormal basis of RGB: grey, red minus blue, green minus both. One axis per row."""


def luma(pixels: NDArray[Any]) -> NDArray[Any]:
    """The luma (...) of pixels (3, ...), in the type of the pixels: BT.601 weights on sRGB-encoded values."""
    return np.tensordot(LUMA_WEIGHTS.astype(pixels.dtype), pixels, 1)


def srgb_to_linear(values: NDArray[Any]) -> NDArray[np.float64]:
    """Convert sRGB-encoded values in [0, 1] to linear light (IEC 61966-2-1)."""
    v = values.astype(np.float64)
    return np.where(v <= 0.04045, v / 12.92, ((np.maximum(v, 0.0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert linear light, clipped to [0, 1], to sRGB-encoded values."""
    v = np.clip(light, 0.0, 1.0)
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055)


def srgb_to_lab(pixels: NDArray[Any]) -> NDArray[Any]:
    """Convert sRGB (3, ...) in [0, 1] to CIE L*a*b* (D65), with L from 0 to 100, by scikit-image.

    The type stays: float32 takes half the time of float64, and differs from it by at most 0.0001.

    Raises:
        PluginError: scikit-image is not installed.
    """
    lab: NDArray[Any] = scikit_image_color().rgb2lab(pixels, channel_axis=0)
    return lab


def lab_to_srgb(lab: NDArray[Any]) -> Pixels:
    """The inverse of `srgb_to_lab`, as float32; colours outside sRGB are clipped to [0, 1]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of colours outside sRGB
        rgb: NDArray[Any] = scikit_image_color().lab2rgb(lab, channel_axis=0)
    clipped: Pixels = np.clip(rgb, 0, 1).astype(np.float32)
    return clipped


def scikit_image_color() -> Any:
    """The module `skimage.color`. Raises PluginError if scikit-image is not installed."""
    try:
        from skimage import color
    except ImportError as error:
        raise PluginError("colour in CIE Lab needs scikit-image: pip install 'odekit[photos]'") from error
    return color
