"""ICC profiles: conversion of file samples to sRGB and back.

Profiles of curves and a matrix (cameras, phones and screens: Display P3, Adobe RGB, ProPhoto) are evaluated here in
floating point, because Pillow's ImageCms works in 8 bits. So 16-bit images keep their depth, and samples survive a
conversion to sRGB and back. Profiles of tables (printers, CMYK) are converted by ImageCms, on reading only.
Formulas: ICC.1:2022, F.3 (matrix and curves), 10.6 and 10.18 (curve types); IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from odekit.core.image import Pixels
from odekit.core.threads import in_threads
from odekit.images.colour import linear_to_srgb, srgb_to_linear

Codes = NDArray[np.uint8] | NDArray[np.uint16]
"""Samples as stored in the file, uint8 or uint16 (H, W, C): 1 grey, 3 RGB or 4 CMYK channels."""

_SRGB_TO_PCS = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""Linear sRGB to XYZ relative to D50: the colorants of the sRGB profile (ICC, sRGB2014.icc)."""
_GRID = np.linspace(0.0, 1.0, 65536)
"""All 16-bit samples in [0, 1], at which curves are sampled."""
_TABLE_TAG = b"A2B0"
"""The tag of profiles of tables; it takes precedence over curves and a matrix."""
_USED_TAGS = frozenset([_TABLE_TAG, b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC"])
"""The others are not copied: all tags of a profile may name the same bytes."""
_BAND = 1 << 18
"""Number of pixels converted at a time; this limits the float64 copies to about 50 MB."""


@dataclass(frozen=True)
class MatrixProfile:
    """A profile of curves and a matrix: `linear sRGB = matrix @ curve(sample)`. Grey has one curve and no matrix."""

    curves: NDArray[np.float64]
    """float64 (1 or 3, 65536), increasing: linear light at each 16-bit sample."""
    matrix: NDArray[np.float64] | None
    """float64 (3, 3), or None for grey."""

    def to_srgb(self, codes: Codes) -> Pixels:
        """Convert samples (H, W, 1 or 3) to sRGB pixels, float32 (3, H, W); colours outside sRGB are clipped."""
        height, width, channels = codes.shape
        out = np.empty((3, height, width), np.float32)
        for rows in _bands(height, width):
            index = codes[rows].astype(np.intp) * (257 if codes.dtype == np.uint8 else 1)
            light = np.stack([self.curves[c][index[..., c]] for c in range(channels)])
            out[:, rows] = linear_to_srgb(light if self.matrix is None else np.tensordot(self.matrix, light, 1))
        return out

    def from_srgb(self, pixels: Pixels) -> Pixels:
        """Convert sRGB pixels (3, H, W) to samples of this profile in [0, 1]; the inverse of `to_srgb`."""
        out = np.empty_like(pixels)
        inverses = [_inverse(curve) for curve in self.curves]
        for rows in _bands(*pixels.shape[1:]):
            light = srgb_to_linear(pixels[:, rows])
            if self.matrix is not None:
                light = np.tensordot(np.linalg.inv(self.matrix), light, 1)
            for c in range(3):
                out[c, rows] = np.interp(light[c], *inverses[c % len(inverses)])
        return out

    @property
    def is_srgb(self) -> bool:
        """Whether the profile is sRGB to within half an 8-bit step, so that no conversion is needed."""
        steps = np.linspace(0, 255, 18).astype(np.uint8)
        axes = np.stack(np.meshgrid(*[steps] * len(self.curves), indexing="ij"), axis=-1)
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], len(self.curves), axis=1)
        codes = np.concatenate([axes.reshape(-1, len(self.curves)), ramp])[None]
        return bool(np.abs(self.to_srgb(codes) * 255 - codes.transpose(2, 0, 1)).max() < 0.5)


def _inverse(curve: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The inverse of a curve as strictly increasing light and its samples. At flat ends black is 0 and white is 1."""
    light, first = np.unique(curve, return_index=True)
    samples = _GRID[first]
    samples[-1] = 1.0
    return light, samples


def _bands(height: int, width: int) -> list[slice]:
    """Slices of rows with about `_BAND` pixels each."""
    rows = max(1, _BAND // width)
    return [slice(top, top + rows) for top in range(0, height, rows)]


def _tags(icc: bytes) -> dict[bytes, bytes]:
    """The tags of a profile that are used, by name (ICC.1:2022, 7.3); empty if the data is not a profile."""
    if icc[36:40] != b"acsp":
        return {}
    (count,) = struct.unpack_from(">I", icc, 128)
    entries = (struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(min(count, 200)))
    return {name: icc[start : start + size] for name, start, size in entries if name in _USED_TAGS}


@lru_cache(maxsize=4)
def parse_matrix_profile(icc: bytes) -> MatrixProfile | None:
    """The profile as curves and a matrix, or None if it consists of tables, is not invertible, or is broken."""
    try:
        tags = _tags(icc)
        if icc[20:24] != b"XYZ " or _TABLE_TAG in tags:
            return None
        if icc[16:20] == b"GRAY":
            return _if_invertible(MatrixProfile(_curve(tags[b"kTRC"])[None], None))
        if icc[16:20] != b"RGB ":
            return None
        colorants = np.array([struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")])
        matrix = np.linalg.solve(_SRGB_TO_PCS, colorants.T / 65536)
        return _if_invertible(
            MatrixProfile(np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]), matrix)
        )
    except (struct.error, KeyError, ValueError, ZeroDivisionError, np.linalg.LinAlgError):
        return None


def _if_invertible(profile: MatrixProfile) -> MatrixProfile | None:
    """The profile if it is invertible (increasing curves, a matrix that is not singular), else None."""
    increasing = np.all(np.diff(profile.curves) >= 0) and np.all(profile.curves[:, -1] > profile.curves[:, 0])
    regular = profile.matrix is None or np.linalg.cond(profile.matrix) < 1e4
    return profile if increasing and regular else None


def _curve(tag: bytes) -> NDArray[np.float64]:
    """Linear light in [0, 1] at each 16-bit sample, from a curve tag. ICC.1:2022, 10.6 (curv) and 10.18 (para)."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count > 1:
            table = np.frombuffer(tag, ">u2", count, 12) / 65535
            return np.interp(_GRID, np.linspace(0.0, 1.0, count), table)
        gamma = struct.unpack_from(">H", tag, 12)[0] / 256 if count else 1.0
        return np.asarray(_GRID**gamma)
    (kind,) = struct.unpack_from(">H", tag, 8)
    if tag[:4] != b"para" or kind > 4:
        raise ValueError("neither a sampled nor a parametric curve")
    values = [number / 65536 for number in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    g, a, b, c, d, e, f = values + [0.0] * (7 - len(values))
    if kind == 0:
        a = 1.0
    if kind in (1, 2):  # below -b/a the curve is constant: 0 or c
        c, d, e, f = 0.0, -b / a, c, c
    with np.errstate(all="ignore"):  # extreme exponents: `_if_invertible` rejects the result
        power = np.clip(a * _GRID + b, 0.0, None) ** g + e
        return np.asarray(np.clip(np.where(d <= _GRID, power, c * _GRID + f), 0.0, 1.0))


def to_pixels(codes: Codes, icc: bytes | None) -> tuple[Pixels, bytes | None, Literal[8, 16]]:
    """Convert file samples to sRGB.

    Returns:
        The pixels (3, H, W); the profile to keep, None if it is broken or made for another number of channels; and the
        effective bit depth of the pixels.
    """
    bits: Literal[8, 16] = 8 if codes.dtype == np.uint8 else 16
    channels = codes.shape[2]
    profile = parse_matrix_profile(icc) if icc else None
    if profile is not None and len(profile.curves) == channels:
        return (_scaled(codes) if profile.is_srgb else profile.to_srgb(codes)), icc, bits
    if channels != 1 and icc and profile is None:
        converted = _convert_by_tables(_to_eight_bits(codes), icc)
        if converted is not None:
            return _scaled(converted), icc, 8
    if channels == 4:
        codes = np.asarray(Pil.fromarray(codes, "CMYK").convert("RGB"))
    return _scaled(codes), None, bits


def from_pixels(pixels: Pixels, icc: bytes | None, grey: bool) -> tuple[Pixels, bytes | None]:
    """Convert sRGB pixels to the values (3, H, W) to write, and return them with their profile.

    The source's profile is used if it is invertible and fits the number of channels; otherwise an sRGB profile is
    written. An image without a profile is written without one, which means sRGB.
    """
    if icc is None:
        return pixels, None
    profile = parse_matrix_profile(icc)
    if profile is None or len(profile.curves) != (1 if grey else 3):
        return pixels, srgb_profile()
    return (pixels if profile.is_srgb else profile.from_srgb(pixels)), icc


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """An sRGB profile. Its creation date is fixed to 2000-01-01, so that the bytes are always the same."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


def _to_eight_bits(codes: Codes) -> NDArray[np.uint8]:
    if codes.dtype == np.uint8:
        return codes.astype(np.uint8, copy=False)
    return np.rint(codes / np.float32(257)).astype(np.uint8)


def _scaled(codes: Codes) -> Pixels:
    """sRGB samples as pixels in [0, 1]; grey is repeated three times."""
    height, width, channels = codes.shape
    largest = np.float32(255 if codes.dtype == np.uint8 else 65535)
    pixels = np.empty((channels, height, width), np.float32)

    def convert(rows: slice) -> None:  # in bands: a second copy of a large photograph would be the peak of the memory
        np.divide(codes[rows].transpose(2, 0, 1), largest, out=pixels[:, rows], dtype=np.float32)

    in_threads(convert, _bands(height, width))
    return np.repeat(pixels, 3, axis=0) if channels == 1 else pixels


def _convert_by_tables(codes: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8] | None:
    """Convert RGB or CMYK samples to sRGB with ImageCms, or None if it fails.

    The intent is relative colorimetric with black point compensation.
    """
    from PIL import ImageCms

    try:
        if _TABLE_TAG not in _tags(icc):
            return None
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(
            Pil.fromarray(codes, "CMYK" if codes.shape[2] == 4 else "RGB"),
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, struct.error):
        return None
    return None if converted is None else np.asarray(converted)
