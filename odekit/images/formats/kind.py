"""The format of a file by its first bytes, because names may be wrong."""

from __future__ import annotations

from odekit.images.formats.deep import Refusal
from odekit.images.formats.names import READ_NAMES

_READ = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"BM": "BMP",
}
_CONVERT = f"odekit reads {READ_NAMES}, so convert it to one of these"
_DEVELOP = "develop it and save the picture as TIFF or JPEG"
_FRAME = "videos are not supported; use odekit video (odekit-video), or save a frame as a picture"
_REFUSED = {
    b"%PDF": ("is a PDF", _CONVERT),
    b"8BPS": ("is a Photoshop file", _CONVERT),
    b"<svg": ("is an SVG drawing", _CONVERT),
    b"\xff\x0a": ("is a JPEG XL picture", _CONVERT),
    b"\x00\x00\x00\x0cJXL ": ("is a JPEG XL picture", _CONVERT),
    b"\x00\x00\x00\x0cjP  ": ("is a JPEG 2000 picture", _CONVERT),
    b"\xff\x4f\xff\x51": ("is a JPEG 2000 picture", _CONVERT),
    b"FUJIFILMCCD-RAW": ("is a camera raw file", _DEVELOP),
    b"IIU\x00": ("is a camera raw file", _DEVELOP),
    b"IIRO": ("is a camera raw file", _DEVELOP),
    b"\x1aE\xdf\xa3": ("is a video", _FRAME),
}
_HEIF = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_AVIF = {b"avif", b"avis"}
_CONTAINER = {b"mif1", b"mif2", b"msf1", b"miaf"}
"""Brands of still and sequence images in general; the compatible brands say which codec (ISO/IEC 23008-12, 10)."""


def kind_of(data: bytes) -> str:
    """The format of a file (Pillow's name).

    Raises:
        Refusal: the file is empty, or of a format that is not read.
    """
    if not data:
        raise Refusal("is empty (0 bytes); copy or export it again")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        raise Refusal(f"is a video; {_FRAME}")
    if data[4:8] == b"ftyp":
        return _kind_of_boxes(data)
    if data[:4] == b"II*\x00" and data[8:10] == b"CR":  # Canon CR2: a TIFF whose first page is a preview
        raise Refusal(f"is a camera raw file; {_DEVELOP}")
    for signature, kind in _READ.items():
        if data.startswith(signature):
            return kind
    for signature, (what, advice) in _REFUSED.items():
        if data.startswith(signature):
            raise Refusal(f"{what}; {advice}")
    raise Refusal(f"is not a picture; {_CONVERT}")


def _kind_of_boxes(data: bytes) -> str:
    """HEIF or AVIF by the brands of an ISO base media file (ISO/IEC 14496-12, 4.3)."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[i : i + 4] for i in (8, *range(16, size - 3, 4))}
    if data[8:12] in _HEIF | _AVIF | _CONTAINER:
        return "AVIF" if data[8:12] in _AVIF or (data[8:12] in _CONTAINER and brands & _AVIF) else "HEIF"
    if data[8:12] == b"crx ":
        raise Refusal(f"is a camera raw file; {_DEVELOP}")
    raise Refusal(f"is a video; {_FRAME}")
