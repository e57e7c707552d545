"""Reading and writing of image files. The conventions on values are in `odekit.core.image`.

PNG, JPEG, WebP, TIFF and BMP; 8 and 16 bits; grey, palette, CMYK and alpha. Reading applies the EXIF orientation and
converts the colours to sRGB. Writing keeps the format, bit depth, grey channel, ICC profile and EXIF of the source if
the format supports them.
"""

from __future__ import annotations

import hashlib
import stat
import warnings
from pathlib import Path

import numpy as np

from odekit.core.files import write_atomic
from odekit.core.image import Image, Metadata
from odekit.errors import InputError, OdekitError
from odekit.images.formats.colour import to_pixels
from odekit.images.formats.decode import Decoded, decode
from odekit.images.formats.deep import Refusal
from odekit.images.formats.encode import FORMATS, encode, format_name
from odekit.images.formats.exif import turn_upright

__all__ = ["FORMATS", "IMAGE_SUFFIXES", "encode", "read", "read_with_digest", "suffixes_of", "with_ending", "write"]
_ENDINGS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
}


def suffixes_of(format: str) -> tuple[str, ...]:
    """File endings of a format (Pillow's name), in lower case, the usual one first."""
    return _ENDINGS[format]


DEFAULT_SUFFIXES = tuple(endings[0] for endings in _ENDINGS.values())
"""The usual file ending of each format."""
IMAGE_SUFFIXES: frozenset[str] = frozenset(ending for endings in _ENDINGS.values() for ending in endings)
"""File endings, in lower case, that mark a file in a folder as an image."""


def read(path: Path | str, *, max_megapixels: float = 100.0) -> Image:
    """Read one image, upright and in sRGB.

    The format is detected from the content, not from the name. `meta` holds the file's format, bit depth (8 or 16),
    whether it is grey, EXIF (orientation reset), resolution and ICC profile. A profile that is broken or made for
    another number of channels is ignored. Transparency of any kind becomes `alpha`.

    Args:
        path: the file.
        max_megapixels: images of more than this many 10^6 pixels are refused before they are decoded.

    Raises:
        InputError: the file is missing, not readable, of an unsupported format, damaged, animated or too large. The
            message is one line: the path, what is wrong, what to do.
    """
    return read_with_digest(path, max_megapixels=max_megapixels)[0]


def read_with_digest(path: Path | str, *, max_megapixels: float = 100.0) -> tuple[Image, str]:
    """Like `read`, with the SHA-256 of the decoded bytes, even if the file changes meanwhile."""
    path = Path(path)
    try:
        data = _load(path, max_megapixels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about damaged tags; serious errors are raised
            return _image(path, decode(data, max_megapixels)), hashlib.sha256(data).hexdigest()
    except Refusal as refusal:
        raise InputError(f"{path}: {refusal}") from None
    except MemoryError:
        raise
    except Exception as error:  # on damaged data decoders raise struct.error, zlib.error, OSError, IndexError...
        describes_file = isinstance(error, OSError | SyntaxError | ValueError)  # other messages describe code
        reason = f" ({' '.join(str(error).split())[:120]})" if describes_file and str(error) else ""
        raise InputError(f"{path}: is damaged or incomplete{reason}; copy or export it again") from error


def _load(path: Path, max_megapixels: float) -> bytes:
    """The file's bytes, read once."""
    try:
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a null byte
            raise Refusal("does not exist; check the name and the folder") from None
        if stat.S_ISDIR(status.st_mode):
            raise Refusal("is a folder, not a picture; name the pictures in it")
        if not stat.S_ISREG(status.st_mode):
            raise Refusal("is not a regular file; copy it to one")
        if status.st_size > max_megapixels * 8e6 + 2**27:  # 16-bit RGBA, and 128 MiB for metadata
            raise Refusal(f"is larger than any picture of {max_megapixels:g} megapixels; raise --max-megapixels")
        return path.read_bytes()
    except PermissionError:
        raise Refusal("may not be read (permission denied); change its permissions") from None
    except OSError as error:
        raise Refusal(f"cannot be read ({error.strerror or error}); check the disk and the name") from None


def _image(path: Path, decoded: Decoded) -> Image:
    """Convert decoded samples to an upright sRGB image."""
    pixels, icc, bits = to_pixels(decoded.codes, decoded.icc)
    alpha = None
    if decoded.alpha is not None:
        largest = np.float32(255 if decoded.alpha.dtype == np.uint8 else 65535)
        alpha = turn_upright(decoded.alpha.astype(np.float32) / largest, decoded.orientation)
    meta = Metadata(
        path=path,
        format=decoded.format,
        bits=bits,
        grey=decoded.codes.shape[2] == 1,
        exif=decoded.exif,
        icc=icc,
        dpi=decoded.dpi,
    )
    return Image(turn_upright(pixels, decoded.orientation), alpha, meta)


def write(
    image: Image, path: Path | str, *, format: str = "same", quality: int = 95, keep_metadata: bool = True
) -> Path:
    """Write one image to a temporary file and rename it, so that a reader never sees an incomplete file.

    - Format: `same` (the source's format, PNG if there is none), png, jpeg, webp, tiff or bmp. The ending of `path` is
      adapted: `face.png` written as jpeg becomes `face.jpg`.
    - Bit depth: 16-bit sources stay 16-bit in PNG and TIFF; the other formats have 8 bits.
    - Alpha: kept in PNG, WebP and TIFF; blended over white for JPEG and BMP.
    - Grey: a grey source whose channels are still equal is written as grey (WebP has no grey).
    - Colours: a profile of curves and a matrix is kept, and the values are converted to it. For table profiles (CMYK,
      printers) and for grey images that became coloured, sRGB values and an sRGB profile are written. A source without
      a profile is written without one. BMP has no profile and is sRGB. CMYK sources are written as RGB.
    - EXIF and resolution: kept; in TIFF, the tags that describe the image. BMP has no EXIF, WebP no resolution.
    - Compression: JPEG 4:4:4; WebP lossless at quality 100; TIFF Deflate.

    Args:
        image: the image.
        path: the file to write; an existing file is replaced, missing folders are created.
        format: see above.
        quality: 1 to 100, for JPEG and WebP.
        keep_metadata: False drops EXIF, resolution and profile; the values are then sRGB.

    Returns:
        The path of the file, with the ending of its format.

    Raises:
        ConfigError: unknown format, or invalid quality.
        OdekitError: the folder cannot be written to, or the image does not fit the format. No partial file remains.
    """
    path = with_ending(Path(path), format_name(image, format))
    try:
        data = encode(image, format, quality=quality, keep_metadata=keep_metadata)
    except OdekitError as error:
        raise type(error)(f"{path}: {error}") from error
    try:
        write_atomic(data, path)
    except OSError as error:
        raise OdekitError(
            f"{path}: cannot be written ({error.strerror or error}); choose another output folder"
        ) from error
    return path


def with_ending(path: Path, name: str) -> Path:
    """The path with an ending of this format. The ending of another image format is replaced, other text is kept."""
    accepted = _ENDINGS[name]
    ending = path.suffix.lower()
    if ending in accepted:
        return path
    return path.with_suffix(accepted[0]) if ending in IMAGE_SUFFIXES else path.with_name(path.name + accepted[0])
