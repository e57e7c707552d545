"""Decoding of image files to samples and metadata, and the reasons for refusing a file."""

from __future__ import annotations

import io
import itertools
import logging
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as Pil
from PIL.ImageFile import ImageFile

from odekit.images.formats import boxes, deep, heif
from odekit.images.formats.bounds import MAX_PAGES, check_structure, jpeg_exif
from odekit.images.formats.colour import Codes
from odekit.images.formats.deep import Refusal
from odekit.images.formats.exif import ORIENTATION, PREFIX, exif_from_tiff, exif_to_write, is_sane, orientation_of
from odekit.images.formats.header import webp_size
from odekit.images.formats.kind import kind_of

# Opened by class instead of `PIL.Image.open`, whose size limit is global; ours is an option.
_OPENERS: dict[str, type[ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
MAX_WIDTH = 33_000_000
"""Pixels in a row: Pillow counts the bits of a row, up to 64 for a pixel, in 31 bits, and says that memory is short."""
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(="|>)([0-9])')


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
    notes: tuple[str, ...] = ()
    """What the user should know about the reading: only one of several frames was read, or rows are missing."""
    rows: tuple[int, int] | None = None
    """(rows that could be read, rows of the whole image) of a truncated file; None for a complete one."""


def decode(data: bytes, max_megapixels: float) -> Decoded:
    """Decode a whole file held in memory. Of several frames or pages the first is read; `notes` says so.

    Raises:
        Refusal: unsupported format, more than `max_megapixels` (10^6 pixels) according to the header, or a structure
            beyond the limits of `bounds`.
        Exception: any error of the decoders on damaged data.
    """
    kind = kind_of(data)
    if kind == "TIFF":
        check_structure(kind, data)
        return _decode_tiff(data, max_megapixels)
    picture = open_picture(data, max_megapixels)
    notes = _frame_notes(kind, picture)
    picture.load()
    check_size(*picture.size, max_megapixels)  # a HEIF file may state its size differently in the image data
    if kind == "PNG" and data[24] == 16:
        return described(kind, picture, *_split(deep.read_png(data)), notes)
    return described(kind, picture, *eight_bit_samples(picture), notes)


def open_picture(data: bytes, max_megapixels: float = 100.0) -> ImageFile:
    """Open a file with Pillow without decoding it. Raises Refusal for an unsupported format, or if it is too large."""
    kind = kind_of(data)
    check_structure(kind, data)
    if kind == "WEBP":  # libwebp allocates the whole canvas when it opens the file
        check_size(*webp_size(data), max_megapixels)
    if kind == "AVIF" and not AvifImagePlugin.SUPPORTED:
        raise Refusal("is an AVIF picture, and this Pillow was built without AVIF; pip install --upgrade pillow")
    opener = heif.opener() if kind == "HEIF" else _OPENERS[kind]
    exif = _hostile_exif(data) if kind == "JPEG" else b""
    if exif:
        data = _without_exif(data)
    if kind in ("HEIF", "AVIF"):
        data = _bounded_boxes(kind, data)
    picture = opener(io.BytesIO(data))
    check_size(*picture.size, max_megapixels)
    if exif:
        picture.info["exif"] = exif
    # The orientation of an AVIF is a property of the file, which Pillow adds to EXIF; XMP must not state another.
    if kind == "AVIF":
        picture.info.pop("xmp", None)
    return picture


def _hostile_exif(data: bytes) -> bytes:
    """The EXIF of a JPEG if Pillow must not see it, because it would copy more than the file holds; else empty."""
    block = b"".join(data[start + (len(PREFIX) if i else 0) : end] for i, (start, end) in enumerate(jpeg_exif(data)))
    return b"" if is_sane(block) else block


def _without_exif(data: bytes) -> bytes:
    """A JPEG whose EXIF segments are renamed, so that they are not read as EXIF."""
    changed = bytearray(data)
    for start, _ in jpeg_exif(data):
        changed[start] = ord("e")
    return bytes(changed)


def _bounded_boxes(kind: str, data: bytes) -> bytes:
    """A HEIF or AVIF without hostile EXIF. Raises Refusal if its items hold many times the file."""
    found = boxes.items(data)
    if found.total > 4 * len(data) + boxes.MAX_METADATA or (
        kind == "HEIF" and found.metadata_bytes > boxes.MAX_METADATA
    ):
        raise Refusal("states many times the data that it has, so it was not decoded; save it again as PNG")
    return boxes.without_hostile_exif(data, found) if kind == "AVIF" else data


def described(kind: str, picture: Pil.Image, codes: Codes, alpha: Codes | None, notes: tuple[str, ...] = ()) -> Decoded:
    """Samples of a loaded picture with its metadata."""
    block = picture.info.get("exif")
    return Decoded(
        format=kind,
        codes=codes,
        alpha=alpha,
        orientation=_orientation(picture),
        exif=exif_to_write(block) if isinstance(block, bytes) else None,
        icc=picture.info.get("icc_profile") or None,
        dpi=_dpi(picture.info.get("dpi")),
        notes=notes,
    )


def _frame_notes(kind: str, picture: ImageFile) -> tuple[str, ...]:
    """A note if the file holds several frames. A GIF states no number of frames; counting would read all of it."""
    if not getattr(picture, "is_animated", False):
        return ()
    if kind == "HEIF":
        return (f"holds {getattr(picture, 'n_frames', 0)} pictures; only its main picture was read",)
    count = "several" if kind == "GIF" else getattr(picture, "n_frames", 0)
    return (f"holds {count} frames; only the first was read",)


def check_size(width: int, height: int, max_megapixels: float) -> None:
    """Raise Refusal for an image without pixels, or of more than `max_megapixels` (10^6 pixels)."""
    if width < 1 or height < 1:
        raise Refusal("holds no pixels; copy or export it again")
    if width > MAX_WIDTH:
        raise Refusal(f"has rows of {width} pixels, and the decoders read at most {MAX_WIDTH}; cut it into parts")
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


def eight_bit_samples(picture: Pil.Image) -> tuple[Codes, NDArray[np.uint8] | None]:
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
        return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB")), None
    rgba = np.asarray(picture.convert("RGBA"))
    return rgba[..., :3], rgba[..., 3]


def _orientation(picture: Pil.Image) -> int:
    """The orientation stated by EXIF, else by XMP; 1 if neither states it.

    Not by Pillow's `getexif`, which copies the values of all entries, however often they name the same bytes.
    """
    block = picture.info.get("exif")
    if not isinstance(block, bytes):
        block = _raw_profile(picture.info.get("Raw profile type exif"))
    stated = orientation_of(block)
    if stated is not None:
        return stated
    xmp = picture.info.get("XML:com.adobe.xmp") or picture.info.get("xmp") or b""
    found = _XMP_ORIENTATION.search(xmp.encode(errors="replace") if isinstance(xmp, str) else bytes(xmp))
    return int(found[2]) if found else 1


def _raw_profile(text: Any) -> bytes:
    """EXIF as ImageMagick stores it in a text chunk of a PNG; empty if there is none."""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:])) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _orientation_of_tiff(picture: Pil.Image) -> int:
    """The orientation of a TIFF that Pillow has loaded; 1 if it does not state it or cannot be read."""
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
    check_size(page.imagewidth, page.imagelength, max_megapixels)
    _check_page(page, len(data))
    icc, orientation = page.iccprofile, page.tags.valueof(ORIENTATION, default=1)
    codes: Codes
    alpha: Codes | None
    if page.bitspersample == 16 and page.photometric in (0, 1, 2):
        codes, alpha = _split(deep.read_tiff(page, data))
    else:
        picture = TiffImagePlugin.TiffImageFile(io.BytesIO(data))
        picture.load()  # Pillow applies the orientation of a TIFF itself, and then resets the tag
        codes, alpha = eight_bit_samples(picture)
        orientation = _orientation_of_tiff(picture)
    dpi = _dpi(page.get_resolution("inch")) if 282 in page.tags and 283 in page.tags else None
    return Decoded("TIFF", codes, alpha, int(orientation), exif_from_tiff(data), icc, dpi, _page_notes(file))


def _page_notes(file: Any) -> tuple[str, ...]:
    """A note if the file holds several pages besides previews and masks."""
    others = itertools.islice(file.pages, 1, MAX_PAGES)  # in a damaged file the list of pages may be circular
    several = any(not (other.is_reduced or other.is_mask) for other in others)
    return ("holds several pages; only the first was read",) if several else ()


def _check_page(page: Any, size: int) -> None:
    """Refuse a first page that is not an image of 8 or 16 bits, or has less data than its header states."""
    if page.is_reduced:
        raise Refusal("starts with a preview (a camera's raw file?); develop it and save the picture as TIFF")
    if page.sampleformat in (3, 6) or page.bitspersample > 16:
        kind = {1: "integer", 2: "integer", 3: "floating-point"}.get(int(page.sampleformat), "complex")
        raise Refusal(f"holds {page.bitspersample}-bit {kind} samples; save it with 8 or 16 bits per channel")
    if page.sampleformat == 2 or page.bitspersample not in (1, 2, 4, 8, 16) or page.imagedepth > 1:
        raise Refusal("holds samples of an unusual kind; save it with 8 or 16 bits per channel")
    if not page.dataoffsets or any(a + n > size for a, n in zip(page.dataoffsets, page.databytecounts, strict=False)):
        raise Refusal("is damaged or incomplete; copy or export it again")
    if sum(page.databytecounts) > 4 * size + 65536:
        raise Refusal("names the same data many times (damaged, or made to exhaust the machine); save it again as PNG")
    if page.samplesperpixel > 5 or np.prod(page.chunks, dtype=float) > 8 * (page.imagewidth + 1024) * (
        page.imagelength + 1024
    ):
        raise Refusal("is damaged, or of an unusual kind; save it again as PNG")
