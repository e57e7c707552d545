"""Pictures as the bytes of a file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from odekit.core.image import Image, Pixels, quantise
from odekit.errors import ConfigError, OdekitError
from odekit.images.formats import deep
from odekit.images.formats.colour import Codes, to_numbers
from odekit.images.formats.exif import carried

FORMATS = ("same", "png", "jpeg", "webp", "tiff", "bmp")
_NO_ALPHA = ("JPEG", "BMP")
_DEEP = ("PNG", "TIFF")
_EXIF_ROOM = 65533
"""Bytes that a JPEG segment has."""


def format_name(image: Image, wanted: str) -> str:
    """Pillow's name of the format: that of the source for `same`.

    Raises:
        ConfigError: there is no such format.
    """
    name = image.meta.format.lower() if wanted == "same" else wanted
    if name not in FORMATS[1:]:
        raise ConfigError(f"format '{name}' is not known; use one of {', '.join(FORMATS)}")
    return name.upper()


def encode(image: Image, format: str = "same", *, quality: int = 95, keep_metadata: bool = True) -> bytes:
    """The picture as a file in memory; `odekit.images.io.write` says what is kept.

    Args:
        image: the picture; values outside [0, 1] are clipped.
        format: one of FORMATS.
        quality: 1 to 100 for JPEG and WebP; WebP at 100 is lossless. The others are always lossless.
        keep_metadata: carry EXIF, resolution and colour profile; otherwise the file says nothing, which means sRGB.

    Raises:
        ConfigError: the format or the quality does not exist.
        OdekitError: the picture does not fit the format, or holds values that are not numbers.
    """
    name = format_name(image, format)
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality {quality} is not between 1 and 100; 95 is the default")
    if not np.isfinite(image.pixels).all():
        raise OdekitError("the picture holds values that are not finite, so it is not written; report the chain's part")
    pixels, alpha = image.pixels, image.alpha
    if alpha is not None and name in _NO_ALPHA:
        pixels, alpha = over_white(pixels, alpha), None
    bits = image.meta.bits if name in _DEEP else 8
    flat = quantise(pixels, bits)
    grey = image.meta.grey and name != "WEBP" and bool((flat == flat[:1]).all())
    icc = image.meta.icc if keep_metadata and name != "BMP" else None
    numbers, icc = to_numbers(pixels, icc, grey)
    codes = quantise(numbers, bits) if numbers is not pixels else flat
    parts = [*codes[: 1 if grey else 3]] + ([] if alpha is None else [quantise(alpha, bits)])
    layers: Codes = np.stack(parts, axis=-1)
    exif = carried(image.meta.exif) if keep_metadata and image.meta.exif else None
    dpi = image.meta.dpi if keep_metadata else None
    if name == "TIFF":
        return deep.write_tiff(layers, icc, exif, dpi)
    if layers.dtype == np.uint16:
        return deep.write_png(layers.astype(np.uint16, copy=False), icc, exif, dpi)
    return _by_pillow(
        name, layers.astype(np.uint8, copy=False), quality, {"icc_profile": icc, "exif": exif, "dpi": dpi}
    )


def over_white(pixels: Pixels, alpha: NDArray[np.float32]) -> Pixels:
    """Pixels (3, H, W) blended over white by alpha (H, W), in sRGB-encoded values as browsers do."""
    return (pixels * alpha + (np.float32(1) - alpha)).astype(np.float32)


def _by_pillow(name: str, layers: NDArray[np.uint8], quality: int, facts: dict[str, Any]) -> bytes:
    """An 8-bit file from (H, W, 1 to 4)."""
    picture = Pil.fromarray(
        layers if layers.shape[2] > 1 else layers[..., 0], ("L", "LA", "RGB", "RGBA")[layers.shape[2] - 1]
    )
    options = {key: value for key, value in facts.items() if value}
    if name == "JPEG":
        options |= {"quality": quality, "subsampling": 0, "optimize": True}
        if len(options.get("exif", b"")) > _EXIF_ROOM:
            del options["exif"]
    elif name == "WEBP":
        options |= {"lossless": True, "exact": True} if quality == 100 else {"quality": quality}
    out = io.BytesIO()
    try:
        picture.save(out, name, **options)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise OdekitError(f"{picture.width} x {picture.height} pixels do not fit {name} ({reason}); use png") from error
    return out.getvalue()
