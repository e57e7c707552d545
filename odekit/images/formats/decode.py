"""Decoding of image files to samples and metadata, and the reasons for refusing a file."""

from __future__ import annotations

import io
import itertools
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from odekit.images.formats import deep
from odekit.images.formats.colour import Codes
from odekit.images.formats.deep import Refusal
from odekit.images.formats.exif import ORIENTATION, exif_from_tiff, exif_to_write

# Opened by class instead of `PIL.Image.open`, whose size limit is global; ours is an option.
_OPENERS: dict[str, type[ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}


@dataclass
class Decoded:
    """The content of a file as stored: samples before colour conversion and rotation."""

    format: str
    codes: Codes
    """uint8 or uint16 (H, W, C): 1 grey, 3 RGB or 4 CMYK channels."""
    alpha: Codes | None
    """(H, W), of the same type."""
    orientation: int
    """EXIF tag 0x0112, 1 to 8."""
    exif: bytes | None
    icc: bytes | None
    dpi: tuple[float, float] | None


def decode(data: bytes, max_megapixels: float) -> Decoded:
    """Decode a whole file held in memory.

    Raises:
        Refusal: unsupported format, or more than `max_megapixels` (10^6 pixels) according to the header.
        Exception: any error of the decoders on damaged data.
    """
    kind = _kind(data)
    if kind == "TIFF":
        return _decode_tiff(data, max_megapixels)
    if kind == "WEBP":  # libwebp allocates the whole canvas when it opens the file
        _check_size(*_webp_size(data), max_megapixels)
    picture = _OPENERS[kind](io.BytesIO(data))
    _check_size(*picture.size, max_megapixels)
    if (frames := getattr(picture, "n_frames", 1)) > 1:
        raise Refusal(f"is animated ({frames} frames); save one frame as a still picture")
    picture.load()
    codes: Codes
    alpha: Codes | None
    if kind == "PNG" and data[24] == 16:
        codes, alpha = _split(deep.read_png(data))
    else:
        codes, alpha = _eight_bit_samples(picture)
    block = picture.info.get("exif")
    return Decoded(
        format=kind,
        codes=codes,
        alpha=alpha,
        orientation=_orientation(picture),
        exif=exif_to_write(block) if isinstance(block, bytes) else None,
        icc=picture.info.get("icc_profile") or None,
        dpi=_dpi(picture.info.get("dpi")),
    )


def _kind(data: bytes) -> str:
    """The format by the first bytes of the file, because file names may be wrong."""
    if not data:
        raise Refusal("is empty (0 bytes); copy or export it again")
    signatures = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff", "BMP": b"BM"}
    for kind, signature in signatures.items():
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "TIFF"
    others = {b"GIF8": "is a GIF", b"%PDF": "is a PDF", b"8BPS": "is a Photoshop file", b"<svg": "is an SVG drawing"}
    what = "is a HEIC or AVIF picture" if data[4:8] == b"ftyp" else others.get(data[:4], "is not a picture")
    raise Refusal(f"{what}; odekit reads PNG, JPEG, WebP, TIFF and BMP, so convert it to one of these")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height from the header. RFC 9649, 2.7 (VP8X) and 3.4 (lossless); RFC 6386, 9.1 (VP8)."""
    chunk, head = data[12:16], data[20:30].ljust(10, b"\x00")
    if chunk == b"VP8X":
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if chunk == b"VP8L":
        packed = int.from_bytes(head[1:5], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF


def _check_size(width: int, height: int, max_megapixels: float) -> None:
    if width < 1 or height < 1:
        raise Refusal("holds no pixels; copy or export it again")
    if width * height > max_megapixels * 1e6:
        raise Refusal(
            f"has {width} x {height} pixels, {width * height / 1e6:.1f} megapixels, over the limit of "
            f"{max_megapixels:g}; make it smaller or raise --max-megapixels"
        )


def _split(codes: deep.Deep) -> tuple[Codes, NDArray[np.uint16] | None]:
    """Separate colours and alpha. With an even number of channels the last one is alpha."""
    if codes.shape[2] % 2:
        return codes, None
    return np.ascontiguousarray(codes[..., :-1]), np.ascontiguousarray(codes[..., -1])


def _eight_bit_samples(picture: ImageFile) -> tuple[Codes, NDArray[np.uint8] | None]:
    """Colours and alpha of a loaded image with at most 8 bits per sample."""
    if picture.mode not in _MODES:
        raise Refusal(f"holds colours as {picture.mode}, which odekit does not read; save it as RGB with 8 or 16 bits")
    transparent = picture.has_transparency_data
    if picture.mode == "CMYK":
        return np.asarray(picture), None
    if picture.mode in ("1", "L", "LA", "La"):
        if not transparent:
            return np.asarray(picture.convert("L"))[..., None], None
        grey_alpha = np.asarray(picture.convert("LA"))
        return grey_alpha[..., :1], grey_alpha[..., 1]
    if not transparent:
        return np.asarray(picture.convert("RGB")), None
    rgba = np.asarray(picture.convert("RGBA"))
    return rgba[..., :3], rgba[..., 3]


def _orientation(picture: ImageFile) -> int:
    """The EXIF orientation; 1 if EXIF does not state it or cannot be read."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # damaged EXIF raises many kinds of errors, and must not prevent reading the pixels
        return 1


def _dpi(value: Any) -> tuple[float, float] | None:
    """Pixels per inch; None if missing or outside 1 to 1e5."""
    try:
        x, y = (float(number) for number in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 1 <= x <= 1e5 and 1 <= y <= 1e5 else None


def _decode_tiff(data: bytes, max_megapixels: float) -> Decoded:
    import tifffile

    logger = logging.getLogger("tifffile")  # it logs damaged files; our error message already says so
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return _decode_page(file, data, max_megapixels)
    finally:
        logger.disabled = was_disabled


def _decode_page(file: Any, data: bytes, max_megapixels: float) -> Decoded:
    page = file.pages.first
    _check_size(page.imagewidth, page.imagelength, max_megapixels)
    _check_page(file, page, len(data))
    icc, orientation = page.iccprofile, page.tags.valueof(ORIENTATION, default=1)
    codes: Codes
    alpha: Codes | None
    if page.bitspersample == 16 and page.photometric in (0, 1, 2):
        codes, alpha = _split(deep.read_tiff(page, data))
    else:
        picture = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
        picture.load()  # Pillow applies the orientation of a TIFF itself, and then resets the tag
        codes, alpha = _eight_bit_samples(picture)
        orientation = _orientation(picture)
    dpi = _dpi(page.get_resolution("inch")) if 282 in page.tags and 283 in page.tags else None
    return Decoded("TIFF", codes, alpha, int(orientation), exif_from_tiff(data), icc, dpi)


def _check_page(file: Any, page: Any, size: int) -> None:
    """Refuse a file without exactly one image of 8 or 16 bits, or with less data than its header states."""
    if page.is_reduced:
        raise Refusal("starts with a preview (a camera's raw file?); develop it and save the picture as TIFF")
    others = itertools.islice(file.pages, 1, 100)  # in a damaged file the list of pages may be circular
    if any(not (other.is_reduced or other.is_mask) for other in others):
        raise Refusal("holds several pages; save one page as its own file")
    if page.sampleformat in (3, 6) or page.bitspersample > 16:
        kind = {1: "integer", 2: "integer", 3: "floating-point"}.get(int(page.sampleformat), "complex")
        raise Refusal(f"holds {page.bitspersample}-bit {kind} samples; save it with 8 or 16 bits per channel")
    if page.sampleformat == 2 or page.bitspersample not in (1, 2, 4, 8, 16) or page.imagedepth > 1:
        raise Refusal("holds samples of an unusual kind; save it with 8 or 16 bits per channel")
    if not page.dataoffsets or any(a + n > size for a, n in zip(page.dataoffsets, page.databytecounts, strict=False)):
        raise Refusal("is damaged or incomplete; copy or export it again")
    if page.samplesperpixel > 5 or np.prod(page.chunks, dtype=float) > 8 * (page.imagewidth + 1024) * (
        page.imagelength + 1024
    ):
        raise Refusal("is damaged, or of an unusual kind; save it again as PNG")
