"""Reading and writing of image files. The conventions on values are in `odekit.core.image`.

Read: PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF and HEIC; 8 and 16 bits; grey, palette, CMYK and alpha. Reading applies the
orientation and converts the colours to sRGB. Written: all of these but GIF, AVIF and HEIC. Writing keeps the format,
bit depth, grey channel, ICC profile and EXIF of the source if the format supports them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from odekit.core.files import read_bounded, write_atomic
from odekit.core.image import Image, Metadata
from odekit.core.result import Result
from odekit.errors import ConfigError, InputError, OdekitError, OdekitWarning
from odekit.images.formats.colour import to_pixels
from odekit.images.formats.decode import Decoded, decode
from odekit.images.formats.deep import Refusal
from odekit.images.formats.encode import FORMATS, encode, format_name
from odekit.images.formats.exif import turn_upright
from odekit.images.formats.names import FORMAT_SUFFIXES, READABLE, WRITABLE, format_of_suffix, result_format
from odekit.images.formats.salvage import is_salvageable, salvage

__all__ = [
    "APPENDED_SUFFIXES", "DEFAULT_SUFFIXES", "FORMATS", "IMAGE_SUFFIXES", "FileContent", "check_max_megapixels",
    "encode", "format_name", "image_of", "max_file_bytes", "read", "read_bytes", "read_file", "read_with_digest",
    "suffixes_of", "with_ending", "write",
]  # fmt: skip
NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)
"""Errors of the process or the machine, not of a file: too many files are open."""


def suffixes_of(format: str) -> tuple[str, ...]:
    """File endings of a format (Pillow's name), in lower case, the usual one first."""
    return FORMAT_SUFFIXES[format]


DEFAULT_SUFFIXES = tuple(FORMAT_SUFFIXES[name][0] for name in WRITABLE)
"""The usual file ending of each format that is written."""
APPENDED_SUFFIXES = {
    suffix: FORMAT_SUFFIXES[result_format(name)][0]
    for name, suffixes in FORMAT_SUFFIXES.items()
    if result_format(name) != name
    for suffix in suffixes
}
"""Suffix of a format that is not written: suffix of the result, which is appended to the name."""
IMAGE_SUFFIXES = READABLE
"""File endings, in lower case, that mark a file in a folder as an image."""


@dataclass(frozen=True)
class FileContent:
    """An image with what its file tells beside it."""

    image: Image
    sha256: str
    """Of the decoded bytes, even if the file changes meanwhile."""
    notes: tuple[str, ...] = ()
    """What the user should know about the reading, such as further frames that were not read."""
    rows: tuple[int, int] | None = None
    """(rows that could be read, rows of the whole image) of a truncated file; None for a complete one."""


def read(path: Path | str, *, max_megapixels: float = 100.0, salvage_truncated: bool = False) -> Image:
    """Read one image, upright and in sRGB.

    The format is detected from the content, not from the name. `meta` holds the file's format, bit depth (8 or 16),
    whether it is grey, EXIF (orientation reset), resolution and ICC profile. A profile that is broken or made for
    another number of channels is ignored. Transparency of any kind becomes `alpha`. Of an animation, or of several
    pages, the first is read, with an OdekitWarning. HEIC and AVIF are read with 8 bits; HEIC needs the extra `heif`.

    Args:
        path: the file.
        max_megapixels: images of more than this many 10^6 pixels are refused before they are decoded.
        salvage_truncated: of a truncated JPEG or PNG, read the complete rows, with an OdekitWarning.

    Raises:
        ConfigError: `max_megapixels` is not a number above 0.
        InputError: the file is missing, not readable, of an unsupported format, damaged or too large. The message is
            one line: the path, what is wrong, what to do.
    """
    content = read_file(path, max_megapixels=max_megapixels, salvage_truncated=salvage_truncated)
    for note in content.notes:
        warnings.warn(f"{path}: {note}", OdekitWarning, stacklevel=2)
    return content.image


def read_with_digest(
    path: Path | str, *, max_megapixels: float = 100.0, salvage_truncated: bool = False
) -> tuple[Image, str]:
    """Like `read`, with the SHA-256 of the decoded bytes, even if the file changes meanwhile, and without warnings."""
    content = read_file(path, max_megapixels=max_megapixels, salvage_truncated=salvage_truncated)
    return content.image, content.sha256


def read_file(path: Path | str, *, max_megapixels: float = 100.0, salvage_truncated: bool = False) -> FileContent:
    """Like `read`, with digest and notes instead of warnings.

    Raises:
        InputError: like `read`.
        OSError: too many files are open, which is no fault of this one.
    """
    check_max_megapixels(max_megapixels)
    path = Path(path)
    return _content(path, lambda: _load(path, max_megapixels), max_megapixels, salvage_truncated)


def read_bytes(data: bytes, *, max_megapixels: float = 100.0) -> Image:
    """Like `read`, for the bytes of a file.

    Raises:
        InputError: like `read`; the message begins with "the bytes".
    """
    content = _content(None, lambda: data, max_megapixels, False)
    for note in content.notes:
        warnings.warn(f"the bytes: {note}", OdekitWarning, stacklevel=2)
    return content.image


def _content(
    path: Path | None, load: Callable[[], bytes], max_megapixels: float, salvage_truncated: bool
) -> FileContent:
    """Decode what `load` gives; `path` stands for it in messages."""
    data, name = b"", "the bytes" if path is None else str(path)
    try:
        data = load()
        with without_warnings():
            decoded = _decode(data, max_megapixels, salvage_truncated)
            digest = hashlib.sha256(data).hexdigest()
            return FileContent(image_of(path, decoded), digest, decoded.notes, decoded.rows)
    except Refusal as refusal:
        raise InputError(f"{name}: {refusal}") from None
    except MemoryError:
        raise
    except Exception as error:  # on damaged data decoders raise struct.error, zlib.error, OSError, IndexError...
        if isinstance(error, OSError) and error.errno in NO_MORE_FILES:
            raise
        describes_file = isinstance(error, OSError | SyntaxError | ValueError)  # other messages describe code
        reason = f" ({' '.join(str(error).split())[:120]})" if describes_file and str(error) else ""
        advice = "copy or export it again"
        if is_salvageable(data) and not salvage_truncated:
            advice += ", or restore its readable part with --salvage"
        raise InputError(f"{name}: is damaged or incomplete{reason}; {advice}") from error


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore warnings: Pillow warns about damaged tags, and raises serious errors.

    Not in other threads than the main one: the filters belong to the process, and two threads that change them leave
    them changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _decode(data: bytes, max_megapixels: float, salvage_truncated: bool) -> Decoded:
    """Decode a file; if it is damaged, its readable part where that is wanted."""
    if not salvage_truncated:
        return decode(data, max_megapixels)
    try:
        return decode(data, max_megapixels)
    except (Refusal, MemoryError):
        raise
    except Exception:
        return salvage(data, max_megapixels)


def max_file_bytes(max_megapixels: float) -> int:
    """Size in bytes of the largest file that may hold so many megapixels: 16-bit RGBA, and 128 MiB for metadata."""
    return int(min(max_megapixels * 8e6, 1e18)) + 2**27


def check_max_megapixels(value: float) -> None:
    """Raise ConfigError unless a limit of megapixels is a number above 0; NaN would allow any size."""
    if not 0 < value < math.inf:
        raise ConfigError(f"max_megapixels (--max-megapixels) {value:g}: write a number above 0, such as 100")


def _load(path: Path, max_megapixels: float) -> bytes:
    """The file's bytes, read once."""
    limit = max_file_bytes(max_megapixels)
    try:
        return read_bounded(path, limit)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a null byte
        raise Refusal("does not exist; check the name and the folder") from None
    except IsADirectoryError:
        raise Refusal("is a folder, not a picture; name the pictures in it") from None
    except PermissionError:
        raise Refusal("may not be read (permission denied); change its permissions") from None
    except OSError as error:
        if error.errno in NO_MORE_FILES:
            raise
        if error.errno == errno.EFBIG:
            raise Refusal(
                f"is larger than any picture of {max_megapixels:g} megapixels; raise --max-megapixels"
            ) from None
        if error.errno in (errno.EINVAL, errno.ENXIO):  # a pipe, a device, or a socket
            raise Refusal("is not a regular file; copy it to one") from None
        raise Refusal(f"cannot be read ({error.strerror or error}); check the disk and the name") from None


def image_of(path: Path | None, decoded: Decoded) -> Image:
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
    image: Image | Result, path: Path | str, *, format: str = "same", quality: int = 95, keep_metadata: bool = True
) -> Path:
    """Write one image to a temporary file and rename it, so that a reader never sees an incomplete file.

    - Format: png, jpeg, webp, tiff, bmp, or `same`: what the ending of `path` says, and without one the source's format
      (PNG if there is none, or if it is GIF, AVIF or HEIC). The ending is adapted: `face.png` written as jpeg becomes
      `face.jpg`.
    - Bit depth: 16-bit sources stay 16-bit in PNG and TIFF; the other formats have 8 bits.
    - Alpha: kept in PNG, WebP and TIFF; blended over white for JPEG and BMP.
    - Grey: a grey source whose channels are still equal is written as grey (WebP has no grey).
    - Colours: a profile of curves and a matrix is kept, and the values are converted to it. For table profiles (CMYK,
      printers) and for grey images that became coloured, sRGB values and an sRGB profile are written. A source without
      a profile is written without one. BMP has no profile and is sRGB. CMYK sources are written as RGB.
    - EXIF and resolution: kept; in TIFF, the tags that describe the image. BMP has no EXIF, WebP no resolution.
    - Compression: JPEG 4:4:4; WebP lossless at quality 100; TIFF Deflate.

    Args:
        image: the image, or the result of a chain.
        path: the file to write; an existing file is replaced, missing folders are created.
        format: see above.
        quality: 1 to 100, for JPEG and WebP.
        keep_metadata: False drops EXIF, resolution and profile; the values are then sRGB.

    Returns:
        The path of the file, with the ending of its format.

    Raises:
        ConfigError: unknown format, or invalid quality.
        InputError: the image is an array or another form of picture; `odekit.as_image` converts it.
        OdekitError: the folder cannot be written to, or the image does not fit the format. No partial file remains.
    """
    image = image.image if isinstance(image, Result) else image
    if not isinstance(image, Image):
        raise InputError(f"an Image or a Result is written, not {type(image).__name__}; odekit.as_image converts it")
    named = format_of_suffix(Path(path).suffix, WRITABLE) if format == "same" else None
    format = named.lower() if named else format
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
    accepted = FORMAT_SUFFIXES[name]
    ending = path.suffix.lower()
    if ending in accepted:
        return path
    return path.with_suffix(accepted[0]) if ending in IMAGE_SUFFIXES else path.with_name(path.name + accepted[0])
