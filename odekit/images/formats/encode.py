"""Encoding of images as the bytes of a file."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil

from odekit.core.image import Image, Pixels, quantise
from odekit.errors import ConfigError, OdekitError
from odekit.images.formats import deep
from odekit.images.formats.colour import Codes, from_pixels
from odekit.images.formats.exif import exif_to_write
from odekit.images.formats.names import WRITABLE, result_format

FORMATS = ("same", *(name.lower() for name in WRITABLE))
_NO_ALPHA = ("JPEG", "BMP")
_DEEP = ("PNG", "TIFF")
ROWS = 256
"""Rows that are checked at a time."""
_JPEG_EXIF_LIMIT = 65533
"""Maximum size of EXIF in a JPEG segment, in bytes."""
SAMPLE_SIDE = 512
"""Side of the sample by which the size of a JPEG is foreseen, in pixels: 64 tiles of the picture."""


def format_name(image: Image, format: str) -> str:
    """Pillow's name of a format; `same` is the format of the source, or PNG if that is only read.

    Raises:
        ConfigError: unknown format.
    """
    name = result_format(image.meta.format).lower() if format == "same" else format
    if name not in FORMATS[1:]:
        raise ConfigError(f"format '{name}' is not known; use one of {', '.join(FORMATS)}")
    return name.upper()


def encode(image: Image, format: str = "same", *, quality: int = 95, keep_metadata: bool = True) -> bytes:
    """Encode an image as a file in memory. See `odekit.images.io.write` for what is kept.

    Args:
        image: the image; values outside [0, 1] are clipped.
        format: one of FORMATS.
        quality: 1 to 100 for JPEG and WebP; WebP at 100 is lossless. The other formats are always lossless.
        keep_metadata: write EXIF, resolution and colour profile. Without a profile the file is sRGB.

    Raises:
        ConfigError: unknown format, or invalid quality.
        OdekitError: the image does not fit the format, or holds values that are not finite.
    """
    name = format_name(image, format)
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality {quality} is not between 1 and 100; 95 is the default")
    if not all(np.isfinite(image.pixels[:, top : top + ROWS]).all() for top in range(0, image.height, ROWS)):
        raise OdekitError(
            "the picture holds values that are not finite, so it is not written; report the part that produced it"
        )
    pixels, alpha = image.pixels, image.alpha
    if alpha is not None and name in _NO_ALPHA:
        pixels, alpha = blend_over_white(pixels, alpha), None
    bits = image.meta.bits if name in _DEEP else 8
    srgb_codes = quantise(pixels, bits)
    grey = image.meta.grey and name != "WEBP" and bool((srgb_codes == srgb_codes[:1]).all())
    icc = image.meta.icc if keep_metadata and name != "BMP" else None
    values, icc = from_pixels(pixels, icc, grey)
    planes = quantise(values, bits) if values is not pixels else srgb_codes
    channels = [*planes[: 1 if grey else 3]] + ([] if alpha is None else [quantise(alpha, bits)])
    codes: Codes = np.stack(channels, axis=-1)
    del srgb_codes, planes, values, pixels, channels  # the encoders copy a large photograph once more
    exif = exif_to_write(image.meta.exif) if keep_metadata and image.meta.exif else None
    dpi = image.meta.dpi if keep_metadata else None
    if name == "TIFF":
        return deep.write_tiff(codes, icc, exif, dpi)
    if codes.dtype == np.uint16:
        return deep.write_png(codes.astype(np.uint16, copy=False), icc, exif, dpi)
    picture = _as_picture(codes.astype(np.uint8, copy=False))
    del codes
    return _encode_with_pillow(name, picture, quality, {"icc_profile": icc, "exif": exif, "dpi": dpi})


def blend_over_white(pixels: Pixels, alpha: NDArray[np.float32]) -> Pixels:
    """Blend pixels (3, H, W) over white by alpha (H, W), in sRGB-encoded values as browsers do."""
    return (pixels * alpha + (np.float32(1) - alpha)).astype(np.float32)


def _as_picture(codes: NDArray[np.uint8]) -> Pil.Image:
    """8-bit samples (H, W, 1 to 4) as a picture of Pillow."""
    channels = codes.shape[2]
    return Pil.fromarray(codes if channels > 1 else codes[..., 0], ("L", "LA", "RGB", "RGBA")[channels - 1])


def _encode_with_pillow(name: str, picture: Pil.Image, quality: int, metadata: dict[str, Any]) -> bytes:
    """Encode a picture of 8 bits."""
    options = {key: value for key, value in metadata.items() if value}
    if name == "JPEG":
        options |= {"quality": quality, "subsampling": 0, "optimize": _fits_optimised(picture, quality)}
        if len(options.get("exif", b"")) > _JPEG_EXIF_LIMIT:
            del options["exif"]
    elif name == "WEBP":
        options |= {"lossless": True, "exact": True} if quality == 100 else {"quality": quality}
    try:
        try:
            return _saved(picture, name, options)
        except OSError:
            if not options.pop("optimize", False):
                raise
            return _saved(picture, name, options)  # it is larger than its sample said
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise OdekitError(f"{picture.width} x {picture.height} pixels do not fit {name} ({reason}); use png") from error


def _fits_optimised(picture: Pil.Image, quality: int) -> bool:
    """Whether a JPEG with tables of its own surely fits into Pillow's buffer for it, which noise does not.

    The buffer has a byte a pixel, two from quality 95, and 64 KiB at least. The size follows from that of a sample.
    """
    room = max(65_536, (2 if quality >= 95 else 1) * picture.width * picture.height)
    sample = picture
    if picture.width * picture.height > SAMPLE_SIDE**2:
        width, height = (min(SAMPLE_SIDE // 8, n) for n in picture.size)
        sample = Pil.new(picture.mode, (8 * width, 8 * height))
        for i, j in itertools.product(range(8), range(8)):
            left, top = (picture.width - width) * i // 7, (picture.height - height) * j // 7
            sample.paste(picture.crop((left, top, left + width, top + height)), (i * width, j * height))
    size = len(_saved(sample, "JPEG", {"quality": quality, "subsampling": 0}))
    return size / (sample.width * sample.height) * picture.width * picture.height < 0.8 * room


def _saved(picture: Pil.Image, name: str, options: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    picture.save(out, name, **options)
    return out.getvalue()
