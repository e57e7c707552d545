"""Formats of image files by name: what odekit reads, what it writes, and what it only recognises.

Imports nothing, so that listing a folder stays cheap.
"""

from __future__ import annotations

from collections.abc import Sequence

FORMAT_SUFFIXES: dict[str, tuple[str, ...]] = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
}
"""Suffixes of the formats that are read, by Pillow's name, in lower case, the usual one first."""
WRITABLE = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
"""Formats that are written, too."""
SUBSTITUTE = "PNG"
"""Format of the result of a source that is read but not written (GIF, AVIF, HEIF)."""
READABLE: frozenset[str] = frozenset(suffix for suffixes in FORMAT_SUFFIXES.values() for suffix in suffixes)
"""Suffixes that mark a file in a folder as an image."""
READ_NAMES = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF and HEIC"
"""The formats that are read, for messages."""

_UNSUPPORTED = {
    "camera raw": "3fr arw cr2 cr3 crw dcr dng erf fff gpr iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 rwl sr2 srf"
    " srw x3f",
    "video": "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv webm wmv",
    "drawing": "afdesign ai cdr emf eps svg svgz wmf",
    "layered picture": "afphoto clip kra ora psb psd pxd xcf",
    "document": "djvu pdf",
    "other picture format": "cur dds dpx exr hdr icns ico j2k jp2 jpf jpx jxl jxr pam pbm pcx pgm pnm ppm qoi sgi tga"
    " wdp xbm xpm",
}
UNSUPPORTED: dict[str, str] = {f".{name}": kind for kind, names in _UNSUPPORTED.items() for name in names.split()}
"""Kind of the pictures and videos that are not read, by suffix in lower case."""


def result_format(source: str) -> str:
    """Format (Pillow's name) of the result of a source with `format: same`."""
    return source if source in WRITABLE else SUBSTITUTE


def format_of_suffix(suffix: str, formats: Sequence[str] = tuple(FORMAT_SUFFIXES)) -> str | None:
    """The one of `formats` with this suffix (any case); None if there is none."""
    return next((name for name in formats if suffix.lower() in FORMAT_SUFFIXES[name]), None)
