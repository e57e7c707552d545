"""Colour spaces of images: luma, chroma axes, linear light and CIE Lab."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G and B in the luma (ITU-R BT.601)."""
LUMA_CHROMA = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
"""An orthonormal basis of RGB: grey, red minus blue, green minus both. One axis per row."""
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _TO_XYZ.sum(1)
"""XYZ of the white point D65, from the sRGB primaries (IEC 61966-2-1)."""


def luma(pixels: NDArray[Any]) -> NDArray[Any]:
    """The luma (...) of pixels (3, ...), in the type of the pixels: BT.601 weights on sRGB-encoded values."""
    return np.tensordot(LUMA.astype(pixels.dtype), pixels, 1)


def srgb_to_linear(values: NDArray[Any]) -> NDArray[np.float64]:
    """Convert sRGB-encoded values in [0, 1] to linear light (IEC 61966-2-1)."""
    v = values.astype(np.float64)
    return np.where(v <= 0.04045, v / 12.92, ((np.maximum(v, 0.0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert linear light, clipped to [0, 1], to sRGB-encoded values."""
    v = np.clip(light, 0.0, 1.0)
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055)


def to_lab(pixels: Pixels) -> NDArray[np.float64]:
    """Convert sRGB (3, ...) in [0, 1] to CIE L*a*b* (D65; CIE 15), with L from 0 to 100."""
    xyz = np.tensordot(_TO_XYZ, srgb_to_linear(pixels), 1) / _WHITE.reshape(-1, *[1] * (pixels.ndim - 1))
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def from_lab(lab: NDArray[np.float64]) -> Pixels:
    """The inverse of `to_lab`; colours outside sRGB are clipped to [0, 1]."""
    fy = (lab[0] + 16) / 116
    f = np.stack([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _WHITE.reshape(-1, *[1] * (lab.ndim - 1))
    encoded = linear_to_srgb(np.tensordot(np.linalg.inv(_TO_XYZ), xyz, 1))
    return np.clip(encoded, 0, 1).astype(np.float32)
