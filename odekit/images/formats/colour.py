"""ICC profiles: file numbers to sRGB and back.

Profiles made of curves and a matrix (cameras, phones and screens: Display P3, Adobe RGB, ProPhoto) are evaluated here
in floating point, because Pillow's ImageCms works in 8 bits: so 16-bit pictures keep their depth, and a picture that
goes back into its own profile gets its own numbers back. Profiles made of tables (printers, CMYK) go through ImageCms,
on reading only. Formulas: ICC.1:2022, F.3 (matrix and curves), 10.6 and 10.18 (curve types); IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from odekit.core.image import Pixels

Codes = NDArray[np.uint8] | NDArray[np.uint16]
"""uint8 or uint16 (H, W, C), as the file holds them: 1 grey, 3 RGB or 4 CMYK channels."""

_SRGB_TO_PCS = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""Linear sRGB to XYZ under D50: the colorants of the sRGB profile (ICC, sRGB2014.icc)."""
_GRID = np.linspace(0.0, 1.0, 65536)
_TABLES = b"A2B0"
"""The tag of profiles made of tables; it goes before curves and a matrix."""
_BAND = 1 << 18
"""Pixels converted at a time, which bounds the float64 copies to some 50 MB."""


def srgb_to_linear(values: NDArray[Any]) -> NDArray[np.float64]:
    """sRGB-encoded values in [0, 1] as light (IEC 61966-2-1)."""
    v = values.astype(np.float64)
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light, clipped to [0, 1], as sRGB-encoded values."""
    v = np.clip(light, 0.0, 1.0)
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * v ** (1 / 2.4) - 0.055)


@dataclass(frozen=True)
class Shaper:
    """A profile of curves and a matrix: `linear sRGB = matrix @ curve(number)`; grey has one curve and no matrix."""

    curves: NDArray[np.float64]
    """float64 (1 or 3, 65536): light at each 16-bit number, rising."""
    matrix: NDArray[np.float64] | None
    """float64 (3, 3), or None for grey."""

    def to_srgb(self, codes: Codes) -> Pixels:
        """Numbers (H, W, 1 or 3) as sRGB pixels float32 (3, H, W); colours outside sRGB are clipped."""
        height, width, channels = codes.shape
        out = np.empty((3, height, width), np.float32)
        for rows in _bands(height, width):
            index = codes[rows].astype(np.intp) * (257 if codes.dtype == np.uint8 else 1)
            light = np.stack([self.curves[c][index[..., c]] for c in range(channels)])
            out[:, rows] = linear_to_srgb(light if self.matrix is None else np.tensordot(self.matrix, light, 1))
        return out

    def from_srgb(self, pixels: Pixels) -> Pixels:
        """The way back: sRGB pixels (3, H, W) as numbers of this profile in [0, 1]."""
        out = np.empty_like(pixels)
        undo = [_inverse(curve) for curve in self.curves]
        for rows in _bands(*pixels.shape[1:]):
            light = srgb_to_linear(pixels[:, rows])
            if self.matrix is not None:
                light = np.tensordot(np.linalg.inv(self.matrix), light, 1)
            for c in range(3):
                out[c, rows] = np.interp(light[c], *undo[c % len(undo)])
        return out

    @property
    def is_srgb(self) -> bool:
        """Its numbers are sRGB to within half an 8-bit step, so pixels can stay as they are."""
        steps = np.linspace(0, 255, 18).astype(np.uint8)
        axes = np.stack(np.meshgrid(*[steps] * len(self.curves), indexing="ij"), axis=-1)
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], len(self.curves), axis=1)
        codes = np.concatenate([axes.reshape(-1, len(self.curves)), ramp])[None]
        return bool(np.abs(self.to_srgb(codes) * 255 - codes.transpose(2, 0, 1)).max() < 0.5)


def _inverse(curve: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Light, strictly rising, and the number of each; where a curve is flat black is 0 and white is 1."""
    light, first = np.unique(curve, return_index=True)
    numbers = _GRID[first]
    numbers[-1] = 1.0
    return light, numbers


def _bands(height: int, width: int) -> list[slice]:
    rows = max(1, _BAND // width)
    return [slice(top, top + rows) for top in range(0, height, rows)]


def _tags(icc: bytes) -> dict[bytes, bytes]:
    """The contents of a profile by name (ICC.1:2022, 7.3); nothing where it is not a profile."""
    if icc[36:40] != b"acsp":
        return {}
    (count,) = struct.unpack_from(">I", icc, 128)
    entries = (struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(min(count, 200)))
    return {name: icc[start : start + size] for name, start, size in entries}


@lru_cache(maxsize=4)
def shaper(icc: bytes) -> Shaper | None:
    """The profile as curves and a matrix, or None where it is made of tables, not invertible, or broken."""
    try:
        tags = _tags(icc)
        if icc[20:24] != b"XYZ " or _TABLES in tags:
            return None
        if icc[16:20] == b"GRAY":
            return _checked(Shaper(_curve(tags[b"kTRC"])[None], None))
        if icc[16:20] != b"RGB ":
            return None
        colorants = np.array([struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")])
        matrix = np.linalg.solve(_SRGB_TO_PCS, colorants.T / 65536)
        return _checked(Shaper(np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]), matrix))
    except (struct.error, KeyError, ValueError, ZeroDivisionError, np.linalg.LinAlgError):
        return None


def _checked(profile: Shaper) -> Shaper | None:
    """The profile, if it can be undone: rising curves, a matrix that is not singular."""
    rising = np.all(np.diff(profile.curves) >= 0) and np.all(profile.curves[:, -1] > profile.curves[:, 0])
    solid = profile.matrix is None or np.linalg.cond(profile.matrix) < 1e4
    return profile if rising and solid else None


def _curve(tag: bytes) -> NDArray[np.float64]:
    """A curve tag as light at each 16-bit number, in [0, 1]. ICC.1:2022, 10.6 (curv) and 10.18 (para)."""
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
    given = [number / 65536 for number in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    g, a, b, c, d, e, f = given + [0.0] * (7 - len(given))
    if kind == 0:
        a = 1.0
    if kind in (1, 2):  # below -b/a the curve is flat: at 0, or at c
        c, d, e, f = 0.0, -b / a, c, c
    with np.errstate(all="ignore"):  # absurd exponents: `_checked` refuses the result
        power = np.clip(a * _GRID + b, 0.0, None) ** g + e
        return np.asarray(np.clip(np.where(d <= _GRID, power, c * _GRID + f), 0.0, 1.0))


def to_pixels(codes: Codes, icc: bytes | None) -> tuple[Pixels, bytes | None, Literal[8, 16]]:
    """The file's numbers as sRGB pixels (3, H, W), the profile to carry, and the bits that the pixels really have.

    A profile that is broken, or made for other channels than these, is ignored and not carried.
    """
    bits: Literal[8, 16] = 8 if codes.dtype == np.uint8 else 16
    channels = codes.shape[2]
    profile = shaper(icc) if icc else None
    if profile is not None and len(profile.curves) == channels:
        return (_plain(codes) if profile.is_srgb else profile.to_srgb(codes)), icc, bits
    if channels != 1 and icc and profile is None:
        converted = _through_tables(_eight(codes), icc)
        if converted is not None:
            return _plain(converted), icc, 8
    if channels == 4:
        codes = np.asarray(Pil.fromarray(codes, "CMYK").convert("RGB"))
    return _plain(codes), None, bits


def to_numbers(pixels: Pixels, icc: bytes | None, grey: bool) -> tuple[Pixels, bytes | None]:
    """Pixels in sRGB as the numbers (3, H, W) to write, and the profile that goes with them.

    The source's profile is used where it can be undone and fits the channels; where it cannot, an sRGB profile is
    written; a picture that came without a profile goes without one (which means sRGB).
    """
    if icc is None:
        return pixels, None
    profile = shaper(icc)
    if profile is None or len(profile.curves) != (1 if grey else 3):
        return pixels, srgb_profile()
    return (pixels if profile.is_srgb else profile.from_srgb(pixels)), icc


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """An sRGB profile, the same bytes on every day: its creation date is set to 2000-01-01."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


def _eight(codes: Codes) -> NDArray[np.uint8]:
    if codes.dtype == np.uint8:
        return codes.astype(np.uint8, copy=False)
    return np.rint(codes / np.float32(257)).astype(np.uint8)


def _plain(codes: Codes) -> Pixels:
    """Numbers that are sRGB already, as pixels; grey is repeated three times."""
    top = np.float32(255 if codes.dtype == np.uint8 else 65535)
    pixels = np.ascontiguousarray(codes.transpose(2, 0, 1)).astype(np.float32) / top
    return np.repeat(pixels, 3, axis=0) if len(pixels) == 1 else pixels


def _through_tables(codes: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8] | None:
    """RGB or CMYK numbers as sRGB through ImageCms (relative colorimetric, black point kept); None where it fails."""
    from PIL import ImageCms

    try:
        if _TABLES not in _tags(icc):
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
