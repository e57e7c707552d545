"""Files to pictures and back. What a picture is, and what its values mean, is said in `odekit.core.image`.

PNG, JPEG, WebP, TIFF and BMP; 8 and 16 bits; grey, palette, CMYK and alpha. Reading turns the picture upright and
converts its colours to sRGB; writing takes the format, depth, greyness, profile and EXIF of the source, where they fit.
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

__all__ = ["FORMATS", "SUFFIXES", "encode", "endings", "read", "read_with_digest", "with_ending", "write"]
_ENDINGS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
}


def endings(format: str) -> tuple[str, ...]:
    """File endings of a format by Pillow's name, in lower case, the usual one first."""
    return _ENDINGS[format]


USUAL = tuple(endings[0] for endings in _ENDINGS.values())
"""The usual ending of each format."""
SUFFIXES: frozenset[str] = frozenset(ending for endings in _ENDINGS.values() for ending in endings)
"""Endings, in lower case, of the files that a folder listing picks up."""


def read(path: Path | str, *, max_megapixels: float = 100.0) -> Image:
    """Read one picture, upright and in sRGB.

    The format is told by the content, not by the name. `meta` carries the file's format, depth (8 or 16 bits),
    greyness, EXIF (orientation reset), resolution and ICC profile. A profile that is broken or belongs to other
    channels is ignored. Transparency of any kind becomes `alpha`.

    Args:
        path: the file.
        max_megapixels: pictures of more than this many 10^6 pixels are refused before they are decoded.

    Raises:
        InputError: the file is missing, not readable, not a picture of a supported kind, damaged, animated or too
            large. One line: the path, what is wrong, what to do.
    """
    return read_with_digest(path, max_megapixels=max_megapixels)[0]


def read_with_digest(path: Path | str, *, max_megapixels: float = 100.0) -> tuple[Image, str]:
    """As `read`, with the SHA-256 of the very bytes that were decoded, whatever happens to the file meanwhile."""
    path = Path(path)
    try:
        data = _load(path, max_megapixels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged tags; what matters is raised
            return _image(path, decode(data, max_megapixels)), hashlib.sha256(data).hexdigest()
    except Refusal as refusal:
        raise InputError(f"{path}: {refusal}") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise nearly anything on damaged data: struct, zlib, OSError, IndexError...
        said = isinstance(error, OSError | SyntaxError | ValueError)  # others speak of code, not of the file
        reason = f" ({' '.join(str(error).split())[:120]})" if said and str(error) else ""
        raise InputError(f"{path}: is damaged or incomplete{reason}; copy or export it again") from error


def _load(path: Path, max_megapixels: float) -> bytes:
    """The file's bytes, read once."""
    try:
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a null byte
            raise Refusal("does not exist; check the name and the folder") from None
        if stat.S_ISDIR(found.st_mode):
            raise Refusal("is a folder, not a picture; name the pictures in it")
        if not stat.S_ISREG(found.st_mode):
            raise Refusal("is not a regular file; copy it to one")
        if found.st_size > max_megapixels * 8e6 + 2**27:  # 16-bit RGBA, and room for metadata
            raise Refusal(f"is larger than any picture of {max_megapixels:g} megapixels; raise --max-megapixels")
        return path.read_bytes()
    except PermissionError:
        raise Refusal("may not be read (permission denied); change its permissions") from None
    except OSError as error:
        raise Refusal(f"cannot be read ({error.strerror or error}); check the disk and the name") from None


def _image(path: Path, found: Decoded) -> Image:
    """The picture as odekit sees it: sRGB, upright."""
    pixels, icc, bits = to_pixels(found.codes, found.icc)
    alpha = None
    if found.alpha is not None:
        top = np.float32(255 if found.alpha.dtype == np.uint8 else 65535)
        alpha = turn_upright(found.alpha.astype(np.float32) / top, found.orientation)
    meta = Metadata(
        path=path,
        format=found.format,
        bits=bits,
        grey=found.codes.shape[2] == 1,
        exif=found.exif,
        icc=icc,
        dpi=found.dpi,
    )
    return Image(turn_upright(pixels, found.orientation), alpha, meta)


def write(
    image: Image, path: Path | str, *, format: str = "same", quality: int = 95, keep_metadata: bool = True
) -> Path:
    """Write one picture under a temporary name and rename it, so that a reader never meets half a file.

    - format: `same` (that of the source, PNG for a picture without one), png, jpeg, webp, tiff or bmp. The ending of
      `path` follows it: `face.png` written as jpeg becomes `face.jpg`.
    - depth: 16 bits stay 16 in PNG and TIFF; the other formats hold 8.
    - alpha: kept in PNG, WebP and TIFF; blended over white for JPEG and BMP.
    - grey: a grey source whose channels are still equal is written grey (WebP has no grey).
    - colours: the source's profile is written, and the numbers are in it, where it is one of curves and a matrix; for
      table profiles (CMYK, printers) and for grey pictures that became coloured, sRGB numbers and an sRGB profile; no
      profile where the source had none. BMP holds none and is sRGB. CMYK sources are written as RGB.
    - EXIF and resolution: kept, in TIFF the tags that describe the picture. BMP holds no EXIF, WebP no resolution.
    - JPEG: 4:4:4. WebP: lossless at quality 100. TIFF: Deflate.

    Args:
        image: the picture.
        path: the file to write; an existing one is replaced, missing folders are made.
        format: see above.
        quality: 1 to 100, for JPEG and WebP.
        keep_metadata: False leaves out EXIF, resolution and profile; the numbers are then sRGB.

    Returns:
        The path written, with the ending of its format.

    Raises:
        ConfigError: no such format or quality.
        OdekitError: the folder cannot be written to, or the picture does not fit the format. Nothing is left behind.
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
    """The path with an ending of this format; a foreign picture ending is replaced, any other text stays."""
    endings = _ENDINGS[name]
    ending = path.suffix.lower()
    if ending in endings:
        return path
    return path.with_suffix(endings[0]) if ending in SUFFIXES else path.with_name(path.name + endings[0])
